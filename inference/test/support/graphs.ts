import type { OnnxGraph, OnnxNode } from '../../src/onnx/index.js';

/** The attribute of an If with a branch. `rest`: further fields that the runtime needs. */
export function branchOf(
  name: 'then_branch' | 'else_branch',
  graph: OnnxGraph,
  rest: readonly Uint8Array[] = [],
): OnnxNode['attributes'][number] {
  return { name, graph, int: undefined, ints: [], tensor: undefined, rest: [...rest] };
}
