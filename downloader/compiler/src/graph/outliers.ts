/**
 * Inputs of a product that are kept in float32, of all of a product's inputs: the fixed few channels of a layer norm's outputs
 * with values many times those of the others, and the inputs with the largest weights, set the scales of 8 bits for all.
 *
 * Source: Dettmers et al., LLM.int8(), 2022; here the channels are fixed at compile time.
 */
export interface Outliers {
  /** Indices of the outlier inputs, ascending. */
  readonly indices: BigInt64Array;
  /** Per input: 0 for an outlier, 1 for all others. */
  readonly mask: Float32Array;
  /** [outliers, outputs]. */
  readonly outlierWeights: Float32Array;
  /** The matrix with zeros for outliers, [outputs, inputs]. */
  readonly otherWeights: Float32Array;
}

/** Of a thousand inputs 64, of four thousand 128: the float32 product takes a tenth of the 8-bit one's time. */
const MIN_OUTLIERS = 64;
const MAX_OUTLIERS = 128;
const INPUTS_PER_OUTLIER = 16;
/** Small models have fewer. */
const MIN_INPUTS_PER_OUTLIER = 4;

export function outlierCount(inputs: number): number {
  const share = Math.min(MAX_OUTLIERS, Math.max(MIN_OUTLIERS, inputs / INPUTS_PER_OUTLIER));
  return Math.floor(Math.min(share, inputs / MIN_INPUTS_PER_OUTLIER));
}

/**
 * Splits a matrix [outputs, inputs]. Half of the outliers are the inputs with the largest values, which set the scales of rows, and half
 * those with the largest weights, which set the scales of outputs. `peaks` are the largest magnitudes of the inputs; without them
 * all are chosen by their weights.
 */
export function splitOutliers(
  matrix: Float32Array,
  outputs: number,
  inputs: number,
  peaks: Float32Array | undefined,
): Outliers {
  const byWeight = descending(largestWeights(matrix, outputs, inputs));
  const byValue = peaks === undefined ? [] : descending(peaks);
  const count = outlierCount(inputs);
  const chosen = new Set(byValue.slice(0, count / 2));
  for (const input of byWeight) if (chosen.size < count) chosen.add(input);
  return split(
    matrix,
    outputs,
    inputs,
    [...chosen].sort((one, other) => one - other),
  );
}

/** Largest weight of each input. */
function largestWeights(matrix: Float32Array, outputs: number, inputs: number): Float32Array {
  const largest = new Float32Array(inputs);
  for (let output = 0; output < outputs; output++) {
    for (let input = 0; input < inputs; input++) {
      const weight = Math.abs(matrix[output * inputs + input] as number);
      if (weight > (largest[input] as number)) largest[input] = weight;
    }
  }
  return largest;
}

/** Indices by falling values. */
function descending(values: Float32Array): number[] {
  return Array.from(values.keys()).sort((one, other) => (values[other] as number) - (values[one] as number));
}

function split(matrix: Float32Array, outputs: number, inputs: number, chosen: readonly number[]): Outliers {
  const mask = new Float32Array(inputs).fill(1);
  const outlierWeights = new Float32Array(chosen.length * outputs);
  const otherWeights = matrix.slice();
  for (const [index, input] of chosen.entries()) {
    mask[input] = 0;
    for (let output = 0; output < outputs; output++) {
      outlierWeights[index * outputs + output] = matrix[output * inputs + input] as number;
      otherWeights[output * inputs + input] = 0;
    }
  }
  return { indices: BigInt64Array.from(chosen, BigInt), mask, outlierWeights, otherWeights };
}
