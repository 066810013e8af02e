import type { Weights } from './checkpoint/weights.js';
import type { GraphPlan } from './families/architectures.js';
import type { ConfigReader } from './families/config.js';
import type { Recipe } from './graph/forms.js';
import { GraphFile } from './graph/graph-file.js';
import type { LayeredGraph } from './graph/layered-graph.js';
import { Layers } from './graph/layers.js';
import type { InputPeaks } from './graph/products.js';
import type { WrittenFile } from './graph/weights-file.js';

/** Source and destination of a graph. */
export interface BuildOptions {
  readonly weights: Weights;
  readonly config: ConfigReader;
  readonly recipe: Recipe;
  readonly overflowSafe: boolean;
  readonly dir: string;
  /** Measured by the float32 graph. Default: none. */
  readonly inputPeaks?: InputPeaks | undefined;
}

/** A written graph: its files, and its layers over them. */
export interface BuiltGraph {
  readonly files: readonly WrittenFile[];
  readonly layered: LayeredGraph;
}

/** Writes `ROLE.onnx` and its weights file. Throws CompilerError. */
export function buildGraph(plan: GraphPlan, options: BuildOptions): BuiltGraph {
  const graph = new GraphFile(options.dir, `${plan.role}.onnx`);
  try {
    const { weights, recipe, overflowSafe, inputPeaks } = options;
    plan.build(new Layers(graph, weights, recipe, overflowSafe, inputPeaks), options.config);
    return { files: graph.finish(), layered: graph.layered() };
  } catch (error) {
    graph.abandon();
    throw error;
  }
}
