import type { OnnxGraph, OnnxModel, OnnxNode } from '@heimdex/onnx';
import { node, RUNTIME_DOMAIN } from '@heimdex/onnx';
import { dropDead } from './dead-nodes.js';
import { GraphIndex, integersOf, isOverLast } from './graph-index.js';

/** Decomposed attention, from the three projections [batch, length, width] to its result of that shape. */
interface Attention {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly heads: number;
  /** The node that outputs the result. */
  readonly last: OnnxNode;
}

/** Relative tolerance of the scale against 1 / sqrt(head size), in float32. */
const SCALE_TOLERANCE = 1e-6;

/**
 * Fuses decomposed attention, as in torch's exports, into one operator of the runtime, which never materializes the attention
 * matrix (Dao et al., "FlashAttention", 2022): the same result to 1e-5, faster for longer sequences. Only without a mask: with
 * one the operator is no faster. Returns the number of fusions; other forms, or scales other than 1 / sqrt(head size), are not
 * changed.
 */
export function fuseAttention({ graph, opsets }: OnnxModel): number {
  const index = new GraphIndex(graph);
  const found = graph.nodes
    .filter(({ opType }) => opType === 'Softmax')
    .flatMap((softmax) => attentionAt(softmax, index, graph) ?? []);
  for (const { query, key, value, heads, last } of found) {
    const fused = node('MultiHeadAttention', [query, key, value], last.outputs, { num_heads: heads }, RUNTIME_DOMAIN);
    graph.nodes.splice(graph.nodes.indexOf(last), 1, fused);
  }
  if (found.length === 0) return 0;
  dropDead(graph);
  graph.shapes = [];
  if (!opsets.has(RUNTIME_DOMAIN)) opsets.set(RUNTIME_DOMAIN, 1n);
  return found.length;
}

function attentionAt(softmax: OnnxNode, index: GraphIndex, graph: OnnxGraph): Attention | undefined {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  /** The only reader of a node's output, if that is not an output of the graph. */
  const readerOf = (one: OnnxNode | undefined, opType: string): OnnxNode | undefined => {
    const [name = ''] = one?.outputs ?? [];
    return outputs.has(name) ? undefined : index.reader(name, opType);
  };
  const scores = unscaled(softmax.inputs[0], index);
  const product = index.maker(scores.name, 'MatMul');
  const weighted = readerOf(softmax, 'MatMul');
  const turned = readerOf(weighted, 'Transpose');
  const last = readerOf(turned, 'Reshape');
  if (product === undefined || weighted === undefined || turned === undefined || last === undefined) return undefined;
  if (!isOverLast(softmax) || weighted.inputs[0] !== softmax.outputs[0]) return undefined;

  const query = headsOf(product.inputs[0], '0,2,1,3', index);
  const key = headsOf(product.inputs[1], '0,2,3,1', index);
  const value = headsOf(weighted.inputs[1], '0,2,1,3', index);
  if (query === undefined || key === undefined || value === undefined || integersOf(turned, 'perm') !== '0,2,1,3') {
    return undefined;
  }
  if (key.heads !== query.heads || value.heads !== query.heads || key.size !== query.size) return undefined;

  // The scale is applied to the scores or to the query.
  const source = scores.scale === 1 ? unscaled(query.name, index) : { name: query.name, scale: 1 };
  const scale = scores.scale * source.scale;
  if (Math.abs(scale * Math.sqrt(query.size) - 1) > SCALE_TOLERANCE) return undefined;
  return { query: source.name, key: key.name, value: value.name, heads: query.heads, last };
}

/** Returns the value before a multiplication or division by a constant, and the factor; the value itself and 1 without one. */
function unscaled(name = '', index: GraphIndex): { readonly name: string; readonly scale: number } {
  const multiplication = index.maker(name, 'Mul');
  if (multiplication !== undefined) {
    for (const [value = '', constant = ''] of [multiplication.inputs, multiplication.inputs.toReversed()]) {
      const factor = index.float(constant);
      if (factor !== undefined) return { name: value, scale: factor };
    }
  }
  const division = index.maker(name, 'Div');
  const divisor = index.float(division?.inputs[1]);
  return divisor === undefined ? { name, scale: 1 } : { name: division?.inputs[0] ?? '', scale: 1 / divisor };
}

/** Returns the last two of four dimensions of a shape: a constant, or a Concat of four. */
function lastTwoOf(shape: string | undefined, index: GraphIndex): readonly [number, number] | undefined {
  const sizesOf = (name: string | undefined): readonly number[] => {
    const { data, elementType } = index.constant(name) ?? {};
    if (elementType !== 'int64' || data?.kind !== 'inline') return [];
    return Array.from(new BigInt64Array(data.bytes.slice().buffer), Number);
  };
  const joined = index.maker(shape, 'Concat');
  const sizes = joined === undefined ? sizesOf(shape) : joined.inputs.map((name) => sizesOf(name)[0] ?? -1);
  const [heads = -1, size = -1] = sizes.length === 4 ? sizes.slice(2) : [];
  return heads > 0 && size > 0 ? [heads, size] : undefined;
}

/** Returns a projection [batch, length, width] that was split into heads and transposed. */
function headsOf(name: string | undefined, order: string, index: GraphIndex) {
  const turned = index.maker(name, 'Transpose');
  const split = turned === undefined ? undefined : index.maker(turned.inputs[0], 'Reshape');
  const sizes = lastTwoOf(split?.inputs[1], index);
  if (turned === undefined || split === undefined || sizes === undefined || integersOf(turned, 'perm') !== order) {
    return undefined;
  }
  return { name: split.inputs[0] ?? '', heads: sizes[0], size: sizes[1] };
}
