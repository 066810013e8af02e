import type { OnnxTensor } from '@heimdex/onnx';
import { tensor } from '@heimdex/onnx';

/** Maximum sum of a pair of weights for which products with 8-bit activations fit 16 bits: 255 x 127 < 32768. */
const MAX_PAIR = 127;
/** Name suffix of overflow-safe weights. */
const OVERFLOW_SAFE = '/heimdex_narrow';

/** 8-bit weights of a product, [inputs, outputs], with scale and zero point. */
export interface Weights {
  readonly values: OnnxTensor;
  /** One for all outputs, or one per output. */
  readonly scale: OnnxTensor;
  /** One, or one per scale; absent: 0. */
  readonly zero?: OnnxTensor | undefined;
}

/** Returns the bytes of a constant; undefined if they are not available. */
export type ReadTensor = (tensor: OnnxTensor) => Uint8Array | undefined;

/** Reads constants that are in memory. */
export const readInline: ReadTensor = ({ data }) => (data?.kind === 'inline' ? data.bytes : undefined);

/** Returns whether a constant of this name has overflow-safe weights. */
export function isOverflowSafe(name: string): boolean {
  return name.endsWith(OVERFLOW_SAFE);
}

/**
 * Returns overflow-safe weights by the values of the originals; weights shared by several products are converted once. Weights
 * that cannot be converted are absent.
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
 * Converts weights for the fast 8-bit product of x86 CPUs without VNNI. That multiplies pairs of inputs, unsigned activations
 * with signed weights, and adds the two products in 16 bits, which can overflow. The weights of each output are scaled down until
 * the weights of equal sign in every pair (rows 2i and 2i + 1) sum to at most 127: then no activations overflow, and the result
 * is exact, as on other CPUs. Outputs that already satisfy this are unchanged. The cost is up to one of the weights' eight bits,
 * for most outputs a third of a bit. The pairs are those of the runtime's kernels (MLAS, vpmaddubsw). Undefined for other kinds
 * of weights, or if they are not available.
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

/** Factors are 16-bit fixed point: a large model has hundreds of millions of weights to multiply at load time. */
const ONE_BITS = 16;
const ONE = 2 ** ONE_BITS;
const HALF = ONE / 2;

/** Returns per output the maximum sum of a pair's weights of equal sign. */
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

/** Returns the offset of the row after `row`, and the factor 1. An odd last row is paired with itself, times 0. */
function neighbour(steps: Steps, row: number, outputs: number): readonly [number, number] {
  return row + outputs < steps.length ? [row + outputs, 1] : [row, 0];
}

/** Returns the larger of the sums of equal sign. Branch-free: the signs of weights are unpredictable. */
function pairOf(first: number, second: number): number {
  const sum = first + second;
  const above = (first & ~(first >> 31)) + (second & ~(second >> 31));
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
  // Bytes of a file may be unaligned; a Float32Array must be aligned.
  return new Float32Array(bytes.slice().buffer);
}
