import type { OnnxTensor } from '@heimdex/onnx';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { type ExpectedUnused, type Renaming, Weights } from './checkpoint/weights.js';
import type { Architecture } from './families/architectures.js';
import type { ConfigReader } from './families/config.js';
import { uniformRecipe } from './graph/forms.js';
import { type ConstantValues, Graph, type Lazy } from './graph/graph.js';
import { Layers } from './graph/layers.js';

/** Tensors by name and shape, without values: none are read. */
class TensorList extends Weights {
  override takeRows(name: string, shape: readonly number[]): Float32Array {
    this.use(name, shape);
    return new Float32Array(0);
  }
}

/** Asks for the tensors of each constant, and stores none. */
class TensorsGraph extends Graph {
  protected override store(constant: OnnxTensor, parts: Lazy<Iterable<ConstantValues>>): OnnxTensor {
    // The first part names its tensors: the others are of the same.
    for (const _ of parts()) break;
    return constant;
  }
}

/**
 * Builds the graphs from the names and shapes of a checkpoint's tensors, within a second: a compile of gigabytes would find what is wrong
 * with the last graph after minutes. Throws TENSOR_MISSING, TENSOR_SHAPE, TENSOR_UNEXPECTED.
 */
export function assertTensors(
  { graphs }: Architecture,
  of: {
    readonly config: ConfigReader;
    readonly checkpoint: Checkpoint;
    readonly renaming: Renaming;
    readonly unused: ExpectedUnused;
  },
): void {
  const tensors = new TensorList({ ...of.checkpoint, files: [] }, of.renaming);
  for (const { build } of graphs)
    build(new Layers(new TensorsGraph(), tensors, uniformRecipe('float32'), false), of.config);
  tensors.expectAllUsed(of.unused);
}
