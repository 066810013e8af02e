import type { OnnxTensor } from '@heimdex/onnx';
import { Weights } from './checkpoint/weights.js';
import { architectureOf, readerOf } from './families/architectures.js';
import type { Config } from './families/config.js';
import type { DenseModule } from './families/dense.js';
import { uniformRecipe } from './graph/forms.js';
import { Graph } from './graph/graph.js';
import { Layers } from './graph/layers.js';

/** Collects operators and the shapes of constants, no values. */
class ShapeGraph extends Graph {
  protected override store(constant: OnnxTensor): OnnxTensor {
    return constant;
  }
}

/**
 * Builds the graphs of a config.json without weights: throws CONFIG_UNSUPPORTED for values that `compileCheckpoint` rejects for any
 * checkpoint.
 */
export function assertConfig(config: Config, dense?: Pick<DenseModule, 'config' | 'pooling'>): void {
  const architecture = architectureOf(config);
  const reader = readerOf(architecture, config, dense);
  const none = new Weights({ files: [], tensors: new Map() });
  const recipe = uniformRecipe('float32');
  for (const { build } of architecture.graphs) build(new Layers(new ShapeGraph(), none, recipe, false), reader);
}
