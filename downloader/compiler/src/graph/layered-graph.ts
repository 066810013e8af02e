import type { OnnxNode, OnnxTensor, OnnxValue } from '@heimdex/onnx';

/** A graph that can be run a layer at a time, so that memory holds the weights of one layer. */
export interface LayeredGraph {
  /** Operators in the order they are run. */
  readonly layers: readonly (readonly OnnxNode[])[];
  readonly outputs: readonly OnnxValue[];
  /**
   * Hands over those of the named values that are constants. Large ones are in files of `dir`, at least until what `use` gives
   * has settled.
   */
  withConstants<Result>(
    names: readonly string[],
    use: (constants: readonly OnnxTensor[], dir: string) => Promise<Result>,
  ): Promise<Result>;
}
