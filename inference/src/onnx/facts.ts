import type { OnnxGraph, OnnxModel, OnnxValue } from '@heimdex/onnx';
import { parseModelFile } from './parse.js';

/** What a graph says of itself, without its weights. */
export interface GraphFacts {
  /** Every operator that occurs, those in the branches of If and Loop included; `domain::Op` outside the standard. */
  readonly opTypes: ReadonlySet<string>;
  readonly inputs: readonly Readonly<OnnxValue>[];
  readonly outputs: readonly Readonly<OnnxValue>[];
}

/**
 * The facts of a graph's file. Reads its nodes and skips its weights: some milliseconds, during which it blocks. Throws
 * when the file cannot be read or is no ONNX model.
 */
export function readGraphFacts(path: string): GraphFacts {
  return graphFacts(parseModelFile(path));
}

/** As `readGraphFacts`, of a model already read and perhaps changed. */
export function graphFacts({ graph }: Pick<OnnxModel, 'graph'>): GraphFacts {
  const opTypes = new Set<string>();
  collectOps(graph, opTypes);
  return { opTypes, inputs: graph.inputs, outputs: graph.outputs };
}

function collectOps(graph: OnnxGraph, opTypes: Set<string>): void {
  for (const node of graph.nodes) {
    opTypes.add(node.domain === '' || node.domain === 'ai.onnx' ? node.opType : `${node.domain}::${node.opType}`);
    for (const attribute of node.attributes) if (attribute.graph !== undefined) collectOps(attribute.graph, opTypes);
  }
}

/**
 * Whether one item gets the same answer whatever it shares a batch with. Dynamic int8 graphs scale their activations over the
 * whole batch, padding included: such a graph gives the same answer every time only for one item alone.
 */
export function isBatchInvariant(facts: GraphFacts): boolean {
  return !facts.opTypes.has('DynamicQuantizeLinear') && !facts.opTypes.has('com.microsoft::DynamicQuantizeMatMul');
}
