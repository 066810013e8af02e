import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '@heimdex/onnx';
import { node, RUNTIME_DOMAIN } from '@heimdex/onnx';
import { dropDead } from './dead-nodes.js';
import { Readers } from './readers.js';

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
  const found = graph.nodes.flatMap((candidate) =>
    candidate.opType === 'Softmax' ? (attentionAt(candidate, index) ?? []) : [],
  );
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

/** Lookup of producers, readers and constants of a graph. */
class GraphIndex {
  readonly #producers = new Map<string, OnnxNode>();
  readonly #readers: Readers;
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #outputs: ReadonlySet<string>;

  constructor(graph: OnnxGraph) {
    this.#readers = new Readers(graph);
    for (const tensor of graph.initializers) this.#constants.set(tensor.name, tensor);
    for (const node of graph.nodes) {
      for (const name of node.outputs) this.#producers.set(name, node);
      const constant = node.opType === 'Constant' ? node.attributes[0]?.tensor : undefined;
      if (constant !== undefined) this.#constants.set(node.outputs[0] ?? '', constant);
    }
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
  }

  producer(name: string | undefined, opType: string): OnnxNode | undefined {
    const producer = this.#producers.get(name ?? '');
    return producer?.opType === opType ? producer : undefined;
  }

  /** Returns the only reader of a node's output, if that is not an output of the graph. */
  reader({ outputs: [name = ''] }: OnnxNode, opType: string): OnnxNode | undefined {
    return this.#outputs.has(name) ? undefined : this.#readers.only(name, opType);
  }

  /** Returns the value of a scalar float constant. */
  float(name: string | undefined): number | undefined {
    const constant = this.#constants.get(name ?? '');
    if (constant?.elementType !== 'float32' || constant.data?.kind !== 'inline') return undefined;
    const { bytes } = constant.data;
    return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true) : undefined;
  }

  /** Returns the last two of four dimensions of a shape: a constant, or a Concat of four. */
  lastTwo(shape: string | undefined): readonly [number, number] | undefined {
    const joined = this.producer(shape, 'Concat');
    const sizes =
      joined === undefined ? this.#integers(shape) : joined.inputs.map((name) => this.#integers(name)?.[0] ?? -1);
    const [heads = -1, size = -1] = sizes?.length === 4 ? sizes.slice(2) : [];
    return heads > 0 && size > 0 ? [heads, size] : undefined;
  }

  #integers(name: string | undefined): readonly number[] | undefined {
    const constant = this.#constants.get(name ?? '');
    if (constant?.elementType !== 'int64' || constant.data?.kind !== 'inline') return undefined;
    return Array.from(new BigInt64Array(constant.data.bytes.slice().buffer), Number);
  }
}

function attentionAt(softmax: OnnxNode, index: GraphIndex): Attention | undefined {
  const axis = softmax.attributes.find(({ name }) => name === 'axis')?.int ?? -1n;
  const scores = unscaled(softmax.inputs[0], index);
  const product = index.producer(scores.name, 'MatMul');
  const weighted = index.reader(softmax, 'MatMul');
  const turned = weighted === undefined ? undefined : index.reader(weighted, 'Transpose');
  const last = turned === undefined ? undefined : index.reader(turned, 'Reshape');
  if (product === undefined || weighted === undefined || turned === undefined || last === undefined) return undefined;
  if (![-1n, 3n].includes(axis) || weighted.inputs[0] !== softmax.outputs[0]) return undefined;

  const query = headsOf(product.inputs[0], '0,2,1,3', index);
  const key = headsOf(product.inputs[1], '0,2,3,1', index);
  const value = headsOf(weighted.inputs[1], '0,2,1,3', index);
  if (query === undefined || key === undefined || value === undefined || permutation(turned) !== '0,2,1,3') {
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
  const multiplication = index.producer(name, 'Mul');
  if (multiplication !== undefined) {
    for (const [value = '', constant = ''] of [multiplication.inputs, multiplication.inputs.toReversed()]) {
      const factor = index.float(constant);
      if (factor !== undefined) return { name: value, scale: factor };
    }
  }
  const division = index.producer(name, 'Div');
  const divisor = index.float(division?.inputs[1]);
  return divisor === undefined ? { name, scale: 1 } : { name: division?.inputs[0] ?? '', scale: 1 / divisor };
}

/** Returns a projection [batch, length, width] that was split into heads and transposed. */
function headsOf(name: string | undefined, order: string, index: GraphIndex) {
  const turned = index.producer(name, 'Transpose');
  const split = turned === undefined ? undefined : index.producer(turned.inputs[0], 'Reshape');
  const sizes = index.lastTwo(split?.inputs[1]);
  if (turned === undefined || split === undefined || sizes === undefined || permutation(turned) !== order) {
    return undefined;
  }
  return { name: split.inputs[0] ?? '', heads: sizes[0], size: sizes[1] };
}

function permutation(turned: OnnxNode): string {
  return turned.attributes.find(({ name }) => name === 'perm')?.ints.join() ?? '';
}
