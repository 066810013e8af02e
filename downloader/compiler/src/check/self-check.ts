import { join } from 'node:path';
import type { Weights } from '../checkpoint/weights.js';
import { CompilerError } from '../errors.js';
import type { GraphPlan } from '../families/architectures.js';
import type { ConfigReader } from '../families/config.js';
import type { LayeredGraph } from '../graph/layered-graph.js';
import { Layers, uniformRecipe } from '../graph/layers.js';
import { type OnLayer, runLayers, UnwrittenGraph, type Values } from './layerwise.js';
import { openSession } from './session.js';

/**
 * What a graph of the checkpoint gives for its probe in float32. `dir` holds a layer at a time. Throws TENSOR_NOT_FINITE where
 * weights that are finite give answers that are not.
 */
export async function runFloat32(
  plan: GraphPlan,
  weights: Weights,
  config: ConfigReader,
  probe: Values,
  dir: string,
  onLayer: OnLayer,
): Promise<Values> {
  const graph = new UnwrittenGraph();
  plan.build(new Layers(graph, weights, uniformRecipe('float32'), false), config);
  const answers = await runLayers(graph.layered(dir), probe, onLayer);
  for (const [name, { data }] of Object.entries(answers)) {
    if ((data as Float32Array).every(Number.isFinite)) continue;
    throw new CompilerError(
      'TENSOR_NOT_FINITE',
      `Expected finite answers of the ${plan.role} graph in float32, got NaN or infinity in ${name}: its weights are too large. The checkpoint is broken.`,
    );
  }
  return answers;
}

/**
 * What the graph that was written gives for its probe. Opened as a whole, to see that it can be, and run layer by layer: a run
 * of the whole would touch all of its weights, and a CPU, which works out half precision in float32, would hold them all.
 */
export async function runWritten(
  graph: LayeredGraph,
  role: string,
  probe: Values,
  dir: string,
  onLayer: OnLayer,
): Promise<Values> {
  const session = await openSession(join(dir, `${role}.onnx`), 'as it is');
  await session.release();
  return runLayers(graph, probe, onLayer);
}
