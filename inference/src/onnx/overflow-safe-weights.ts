import type { OnnxTensor } from '@heimdex/onnx';
import { tensor } from '@heimdex/onnx';

/** The largest sum of two neighbours' weights that 8-bit activations cannot take past 16 bits: 255 x 127 < 32768. */
const MAX_PAIR = 127;
/** What the names of narrow weights end with. */
const OVERFLOW_SAFE = '/heimdex_narrow';

/** 8-bit weights of a product, [inputs, outputs], and what they stand for. */
export interface Weights {
  readonly values: OnnxTensor;
  /** One for all outputs, or one each. */
  readonly scale: OnnxTensor;
  /** As many as scales or one; absent: 0. */
  readonly zero?: OnnxTensor | undefined;
}

/** The bytes of a constant; undefined where they are out of reach. */
export type ReadTensor = (tensor: OnnxTensor) => Uint8Array | undefined;

/** Reads constants that are in memory. */
export const readInline: ReadTensor = ({ data }) => (data?.kind === 'inline' ? data.bytes : undefined);

/** Whether a constant of this name holds narrow weights. */
export function isOverflowSafe(name: string): boolean {
  return name.endsWith(OVERFLOW_SAFE);
}

/**
 * The narrow form of weights, by their values; those that several products read in one way are made once. What cannot be
 * narrowed is not there.
 */
export function overflowSafe(all: readonly Weights[], read: ReadTensor): ReadonlyMap<OnnxTensor, Weights> {
  const ways = new Map<OnnxTensor, Weights>();
  const ambiguous = new Set<OnnxTensor>();
  for (const weights of all) {
    const known = ways.get(weights.values) ?? weights;
    ways.set(weights.values, known);
    if (known.scale !== weights.scale || known.zero !== weights.zero) ambiguous.add(weights.values);
  }
  const safeWeights = new Map<OnnxTensor, Weights>();
  for (const [values, weights] of ways) {
    const made = ambiguous.has(values) ? undefined : makeOverflowSafe(`${values.name}${OVERFLOW_SAFE}`, weights, read);
    if (made !== undefined) safeWeights.set(values, made);
  }
  return safeWeights;
}

/**
 * Weights for the fast 8-bit product of x86 CPUs without VNNI. It multiplies two neighbouring inputs at a time, unsigned
 * activations with signed weights, and keeps the sum of the two in 16 bits, where it overflows. Each output's weights are
 * scaled so far down that the weights of one sign of no two neighbours (rows 2i and 2i + 1) sum to more than 127: then no
 * activations overflow, and the answer is the exact one that every other CPU gives. An output that keeps to that already
 * is not touched. What it costs is up to a bit of the weights' eight, in most outputs a third of one. The two neighbours are
 * those of the runtime's kernels (MLAS, vpmaddubsw). Undefined for weights of other kinds, or out of reach.
 */
export function makeOverflowSafe(name: string, weights: Weights, read: ReadTensor): Weights | undefined {
  const { values, scale, zero } = weights;
  const [inputs = 0, outputs = 0, ...others] = values.dims;
  const steps = integersOf(values, read);
  const scales = floatsOf(scale, read);
  const zeros = zero === undefined ? new Int8Array(1) : integersOf(zero, read);
  if (steps === undefined || scales === undefined || zeros === undefined || others.length > 0) return undefined;
  if (steps.length !== inputs * outputs || ![1, outputs].includes(scales.length)) return undefined;
  if (![1, outputs].includes(zeros.length)) return undefined;

  const offsets = Int32Array.from({ length: outputs }, (_, output) => zeros[zeros.length === 1 ? 0 : output] ?? 0);
  const factors = Int32Array.from(largestPairs(steps, offsets), (pair) =>
    pair > MAX_PAIR ? Math.floor((MAX_PAIR / pair) * ONE) : ONE,
  );
  const newScales = Float32Array.from(
    factors,
    (factor, output) => ((scales[scales.length === 1 ? 0 : output] ?? 0) * ONE) / factor,
  );
  return {
    values: tensor(name, values.dims, scaled(steps, offsets, factors)),
    scale: tensor(`${name}_scale`, [outputs], newScales),
  };
}

type Steps = Int8Array | Uint8Array;

/** Factors are whole numbers of 65536ths: some hundred million weights are multiplied when a large model is loaded. */
const ONE_BITS = 16;
const ONE = 2 ** ONE_BITS;
const HALF = ONE / 2;

/** For each output the largest sum of two neighbours' weights of one sign. */
function largestPairs(steps: Steps, offsets: Int32Array): Int32Array {
  const outputs = offsets.length;
  const largest = new Int32Array(outputs);
  for (let row = 0; row < steps.length; row += 2 * outputs) {
    const [next, weight] = neighbour(steps, row, outputs);
    for (let output = 0; output < outputs; output++) {
      const offset = offsets[output] as number;
      const one = (steps[row + output] as number) - offset;
      const other = Math.imul((steps[next + output] as number) - offset, weight);
      const pair = pairOf(one, other);
      if (pair > (largest[output] as number)) largest[output] = pair;
    }
  }
  return largest;
}

function scaled(steps: Steps, offsets: Int32Array, factors: Int32Array): Int8Array {
  const outputs = offsets.length;
  const result = new Int8Array(steps.length);
  for (let row = 0; row < steps.length; row += 2 * outputs) {
    const [next, weight] = neighbour(steps, row, outputs);
    for (let output = 0; output < outputs; output++) {
      const offset = offsets[output] as number;
      const factor = factors[output] as number;
      const one = (Math.imul((steps[row + output] as number) - offset, factor) + HALF) >> ONE_BITS;
      const other = (Math.imul((steps[next + output] as number) - offset, factor) + HALF) >> ONE_BITS;
      result[next + output] = other;
      // Both may have been rounded away from 0.
      result[row + output] = pairOf(one, Math.imul(other, weight)) > MAX_PAIR ? one - ((one >> 31) | 1) : one;
    }
  }
  return result;
}

/** Where the row after `row` begins, and 1. The last of an odd number of rows has itself for a neighbour, times 0. */
function neighbour(steps: Steps, row: number, outputs: number): readonly [number, number] {
  return row + outputs < steps.length ? [row + outputs, 1] : [row, 0];
}

/** The sum of those of one sign, the larger of the two sums. Without branches: there is no telling signs of weights beforehand. */
function pairOf(one: number, other: number): number {
  const sum = one + other;
  const above = (one & ~(one >> 31)) + (other & ~(other >> 31));
  return above - (sum & (sum >> 31));
}

function integersOf(constant: OnnxTensor, read: ReadTensor): Steps | undefined {
  const bytes = read(constant);
  if (bytes === undefined || constant.elementType === 'uint8') return bytes;
  if (constant.elementType !== 'int8') return undefined;
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function floatsOf(constant: OnnxTensor, read: ReadTensor): Float32Array | undefined {
  const bytes = read(constant);
  if (bytes === undefined || constant.elementType !== 'float32') return undefined;
  // Bytes of a file may lie anywhere; floats may not.
  return new Float32Array(bytes.slice().buffer);
}
