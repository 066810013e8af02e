import type { OnnxGraph, OnnxNode } from '@heimdex/onnx';

/** Removes the nodes that contribute to no output. */
export function dropDead(graph: OnnxGraph): void {
  const read = new Set(graph.outputs.map(({ name }) => name));
  const addReads = ({ inputs, attributes }: OnnxNode) => {
    for (const name of inputs) read.add(name);
    for (const { graph: inner } of attributes) for (const one of inner?.nodes ?? []) addReads(one);
    for (const { graph: inner } of attributes) for (const one of inner?.outputs ?? []) read.add(one.name);
  };
  // Nodes are in topological order.
  graph.nodes = graph.nodes
    .toReversed()
    .filter((one) => {
      const alive = one.outputs.some((name) => read.has(name));
      if (alive) addReads(one);
      return alive;
    })
    .toReversed();
}
