import type { OnnxGraph, OnnxModel, OnnxNode, OnnxTensor } from '@heimdex/onnx';
import { node } from '@heimdex/onnx';
import { dropDead } from './dead-nodes.js';
import { Readers } from './readers.js';

/** Attention written out, from the three projections [batch, length, width] to its result of that shape. */
interface Attention {
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly heads: number;
  /** The node that gives the result. */
  readonly last: OnnxNode;
}

/** By how much a constant may be off 1 / sqrt(size of a head) and still be it, in float32. */
const SCALE_TOLERANCE = 1e-6;

/**
 * Has attention that is written out, as torch's exports have it, done by one operator of the runtime, which never holds the
 * whole table of weights (Dao et al., "FlashAttention", 2022): the same result to 1e-5, and less time the longer the
 * sequence. Only attention without a mask: with one the operator is no faster. Returns how many were changed; what is not of
 * this form, or scaled by another number than 1 / sqrt(size of a head), is left alone.
 */
export function fuseAttention({ graph, opsets }: OnnxModel): number {
  const look = new Look(graph);
  const found = graph.nodes.flatMap((one) => (one.opType === 'Softmax' ? (attentionAt(one, look) ?? []) : []));
  for (const { query, key, value, heads, last } of found) {
    const fused = node('MultiHeadAttention', [query, key, value], last.outputs, { num_heads: heads }, 'com.microsoft');
    graph.nodes.splice(graph.nodes.indexOf(last), 1, fused);
  }
  if (found.length === 0) return 0;
  dropDead(graph);
  graph.shapes = [];
  if (!opsets.has('com.microsoft')) opsets.set('com.microsoft', 1n);
  return found.length;
}

/** Who makes and who reads what in a graph. */
class Look {
  readonly #makers = new Map<string, OnnxNode>();
  readonly #readers: Readers;
  readonly #constants = new Map<string, OnnxTensor>();
  readonly #outputs: ReadonlySet<string>;

  constructor(graph: OnnxGraph) {
    this.#readers = new Readers(graph);
    for (const one of graph.initializers) this.#constants.set(one.name, one);
    for (const one of graph.nodes) {
      for (const name of one.outputs) this.#makers.set(name, one);
      const constant = one.opType === 'Constant' ? one.attributes[0]?.tensor : undefined;
      if (constant !== undefined) this.#constants.set(one.outputs[0] ?? '', constant);
    }
    this.#outputs = new Set(graph.outputs.map(({ name }) => name));
  }

  maker(name: string | undefined, opType: string): OnnxNode | undefined {
    const maker = this.#makers.get(name ?? '');
    return maker?.opType === opType ? maker : undefined;
  }

  /** The only node that reads what another gives, where that is no output of the graph. */
  reader({ outputs: [name = ''] }: OnnxNode, opType: string): OnnxNode | undefined {
    return this.#outputs.has(name) ? undefined : this.#readers.only(name, opType);
  }

  /** A constant's one float. */
  float(name: string | undefined): number | undefined {
    const constant = this.#constants.get(name ?? '');
    if (constant?.elementType !== 'float32' || constant.data?.kind !== 'inline') return undefined;
    const { bytes } = constant.data;
    return bytes.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset, 4).getFloat32(0, true) : undefined;
  }

  /** The last two sizes of a shape of four: a constant, or joined of four chunks. */
  lastTwo(shape: string | undefined): readonly [number, number] | undefined {
    const joined = this.maker(shape, 'Concat');
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

function attentionAt(softmax: OnnxNode, look: Look): Attention | undefined {
  const axis = softmax.attributes.find(({ name }) => name === 'axis')?.int ?? -1n;
  const scores = unscaled(softmax.inputs[0], look);
  const product = look.maker(scores.name, 'MatMul');
  const weighted = look.reader(softmax, 'MatMul');
  const turned = weighted === undefined ? undefined : look.reader(weighted, 'Transpose');
  const last = turned === undefined ? undefined : look.reader(turned, 'Reshape');
  if (product === undefined || weighted === undefined || turned === undefined || last === undefined) return undefined;
  if (![-1n, 3n].includes(axis) || weighted.inputs[0] !== softmax.outputs[0]) return undefined;

  const query = headsOf(product.inputs[0], '0,2,1,3', look);
  const key = headsOf(product.inputs[1], '0,2,3,1', look);
  const value = headsOf(weighted.inputs[1], '0,2,1,3', look);
  if (query === undefined || key === undefined || value === undefined || permutation(turned) !== '0,2,1,3') {
    return undefined;
  }
  if (key.heads !== query.heads || value.heads !== query.heads || key.size !== query.size) return undefined;

  // The scale stands at the scores or at the query.
  const source = scores.scale === 1 ? unscaled(query.name, look) : { name: query.name, scale: 1 };
  const scale = scores.scale * source.scale;
  if (Math.abs(scale * Math.sqrt(query.size) - 1) > SCALE_TOLERANCE) return undefined;
  return { query: source.name, key: key.name, value: value.name, heads: query.heads, last };
}

/** What a constant multiplies or divides, and the factor; the value itself and 1 where none does. */
function unscaled(name = '', look: Look): { readonly name: string; readonly scale: number } {
  const times = look.maker(name, 'Mul');
  if (times !== undefined) {
    for (const [one = '', other = ''] of [times.inputs, times.inputs.toReversed()]) {
      const factor = look.float(other);
      if (factor !== undefined) return { name: one, scale: factor };
    }
  }
  const over = look.maker(name, 'Div');
  const divisor = look.float(over?.inputs[1]);
  return divisor === undefined ? { name, scale: 1 } : { name: over?.inputs[0] ?? '', scale: 1 / divisor };
}

/** A projection [batch, length, width] that was split into heads and turned. */
function headsOf(name: string | undefined, order: string, look: Look) {
  const turned = look.maker(name, 'Transpose');
  const split = turned === undefined ? undefined : look.maker(turned.inputs[0], 'Reshape');
  const sizes = look.lastTwo(split?.inputs[1]);
  if (turned === undefined || split === undefined || sizes === undefined || permutation(turned) !== order) {
    return undefined;
  }
  return { name: split.inputs[0] ?? '', heads: sizes[0], size: sizes[1] };
}

function permutation(turned: OnnxNode): string {
  return turned.attributes.find(({ name }) => name === 'perm')?.ints.join() ?? '';
}
