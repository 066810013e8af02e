import { join } from 'node:path';
import type { Weights } from '../checkpoint/weights.js';
import type { GraphPlan } from '../families/architectures.js';
import type { ConfigReader } from '../families/config.js';
import { Layers, type Recipe } from '../graph/layers.js';
import { LayerwiseGraph, type Values } from './layerwise.js';
import { openSession } from './session.js';

/** What a graph of the checkpoint gives for its probe by a recipe, run layer by layer. `dir` holds a layer at a time. */
export async function runLayerwise(
  plan: GraphPlan,
  weights: Weights,
  config: ConfigReader,
  recipe: Recipe,
  probe: Values,
  dir: string,
): Promise<Values> {
  const graph = new LayerwiseGraph();
  plan.build(new Layers(graph, weights, recipe, false), config);
  return graph.run(probe, dir);
}

/** What the graph that was written gives for its probe. */
export async function runCompiled(plan: GraphPlan, probe: Values, dir: string): Promise<Values> {
  const session = await openSession(join(dir, `${plan.role}.onnx`));
  try {
    return (await session.run(probe)) as Values;
  } finally {
    await session.release();
  }
}

/** Throws where the graph that was written cannot be opened. */
export async function expectOpens(plan: GraphPlan, dir: string): Promise<void> {
  const session = await openSession(join(dir, `${plan.role}.onnx`), 'as it is');
  await session.release();
}
