import { join } from 'node:path';
import type { Weights } from '../checkpoint/weights.js';
import type { GraphPlan } from '../families/architectures.js';
import type { ConfigReader } from '../families/config.js';
import { Layers, uniformRecipe } from '../graph/layers.js';
import { LayerwiseGraph, type Values } from './layerwise.js';
import { openSession } from './session.js';

/** What a graph of the checkpoint gives for its probe in float32, run layer by layer. `folder` holds a layer at a time. */
export async function runFloat32(
  plan: GraphPlan,
  weights: Weights,
  config: ConfigReader,
  probe: Values,
  folder: string,
): Promise<Values> {
  const graph = new LayerwiseGraph();
  plan.build(new Layers(graph, weights, uniformRecipe('float32'), false), config);
  return graph.run(probe, folder);
}

/** What the graph that was written gives for its probe. */
export async function runCompiled(plan: GraphPlan, probe: Values, folder: string): Promise<Values> {
  const session = await openSession(join(folder, `${plan.role}.onnx`));
  try {
    return (await session.run(probe)) as Values;
  } finally {
    await session.release();
  }
}
