import type { OnnxGraph, OnnxModel, OnnxValue } from '@heimdex/onnx';
import { branchesOf } from './graph-index.js';
import { parseModelFile } from './parse.js';

/** Properties of a graph, without its weights. */
export interface GraphFacts {
  /** All operators, including those in branches of If and Loop; `domain::Op` outside the standard domain. */
  readonly opTypes: ReadonlySet<string>;
  readonly inputs: readonly Readonly<OnnxValue>[];
  readonly outputs: readonly Readonly<OnnxValue>[];
}

/**
 * Reads the facts of a graph's file. Reads its nodes and skips its weights: blocks for a few milliseconds. Throws if the file is
 * unreadable or not an ONNX model.
 */
export function readGraphFacts(path: string): GraphFacts {
  return graphFacts(parseModelFile(path));
}

/** Returns the facts of a parsed, possibly modified model. */
export function graphFacts({ graph }: Pick<OnnxModel, 'graph'>): GraphFacts {
  const opTypes = new Set<string>();
  collectOps(graph, opTypes);
  return { opTypes, inputs: graph.inputs, outputs: graph.outputs };
}

function collectOps(graph: OnnxGraph, opTypes: Set<string>): void {
  for (const node of graph.nodes) {
    opTypes.add(node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}::${node.opType}`);
  }
  for (const branch of branchesOf(graph)) collectOps(branch, opTypes);
}

/**
 * Returns whether an item's result is independent of its batch. Dynamic int8 graphs scale their activations over the whole batch
 * including padding: their result is reproducible only for a single item.
 */
export function isBatchInvariant(facts: GraphFacts): boolean {
  return !facts.opTypes.has('DynamicQuantizeLinear') && !facts.opTypes.has('com.microsoft::DynamicQuantizeMatMul');
}
