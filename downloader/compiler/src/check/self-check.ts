import { join } from 'node:path';
import type { Weights } from '../checkpoint/weights.js';
import { CompilerError } from '../errors.js';
import type { GraphPlan } from '../families/architectures.js';
import type { ConfigReader } from '../families/config.js';
import { uniformRecipe, usesPeaks } from '../graph/forms.js';
import type { LayeredGraph } from '../graph/layered-graph.js';
import { Layers, PEAKS_PREFIX } from '../graph/layers.js';
import type { InputPeaks } from '../graph/products.js';
import { type OnLayer, runLayers, UnwrittenGraph, type Values } from './layerwise.js';
import { openSession } from './session.js';

/** Outputs of the float32 graph, and the largest magnitudes of its products' inputs. */
export interface Float32Run {
  readonly answers: Values;
  readonly inputPeaks: InputPeaks;
}

/**
 * Runs a graph of the checkpoint in float32 on its probe. `dir` holds one layer at a time. Throws TENSOR_NOT_FINITE if finite
 * weights produce outputs that are not finite.
 */
export async function runFloat32(
  plan: GraphPlan,
  weights: Weights,
  config: ConfigReader,
  probe: Values,
  dir: string,
  onLayer: OnLayer,
): Promise<Float32Run> {
  const graph = new UnwrittenGraph(plan.recipes.some((recipe) => Object.values(recipe).some(usesPeaks)));
  plan.build(new Layers(graph, weights, uniformRecipe('float32'), false), config);
  const outputs = Object.entries(await runLayers(graph.layered(dir), probe, onLayer));
  const isPeaks = ([name]: readonly [string, unknown]) => name.startsWith(PEAKS_PREFIX);
  const answers = Object.fromEntries(outputs.filter((output) => !isPeaks(output)));
  const inputPeaks = new Map(
    outputs.filter(isPeaks).map(([name, { data }]) => [name.slice(PEAKS_PREFIX.length), data as Float32Array]),
  );
  for (const [name, { data }] of Object.entries(answers)) {
    if ((data as Float32Array).every(Number.isFinite)) continue;
    throw new CompilerError(
      'TENSOR_NOT_FINITE',
      `Expected finite answers of the ${plan.role} graph in float32, got NaN or infinity in ${name}: its weights are too large. The checkpoint is broken.`,
    );
  }
  return { answers, inputPeaks };
}

/**
 * Runs the written graph on its probe. It is opened as a whole to check that it loads, and run layer by layer: a full run would
 * touch all of its weights, and a CPU, which computes half precision in float32, would hold them all.
 */
export async function runWritten(
  graph: LayeredGraph,
  role: string,
  probe: Values,
  dir: string,
  onLayer: OnLayer,
): Promise<Values> {
  const session = await openSession(join(dir, `${role}.onnx`));
  await session.release();
  return runLayers(graph, probe, onLayer);
}
