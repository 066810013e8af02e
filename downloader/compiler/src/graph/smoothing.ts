/**
 * Evens out the inputs of a product with one scale per row: what divides an input multiplies its weights. A few channels with many times
 * the values of the others take most of a row's 8 bits; weights have bits to spare for them.
 *
 * Source: Xiao et al., "SmoothQuant", 2023, with the mean square of an input's weights in place of their peak.
 */

/**
 * Divisor of each input: the root of its largest magnitude over its weights' root mean square. 1 for inputs without values or weights.
 *
 * @param peaks - Largest magnitude of each input.
 * @param matrices - [outputs, inputs] each.
 */
export function inputDivisors(peaks: Float32Array, matrices: Iterable<Float32Array>): Float32Array {
  const inputs = peaks.length;
  const squares = new Float64Array(inputs);
  let outputs = 0;
  for (const matrix of matrices) {
    outputs += matrix.length / inputs;
    for (let start = 0; start < matrix.length; start += inputs) {
      for (let input = 0; input < inputs; input++) {
        const weight = matrix[start + input] as number;
        squares[input] = (squares[input] as number) + weight * weight;
      }
    }
  }
  return peaks.map((peak, input) => {
    const divisor = Math.sqrt(peak / Math.sqrt((squares[input] as number) / outputs));
    return divisor > 0 && Number.isFinite(divisor) ? divisor : 1;
  });
}

/** What the weights of a product are scaled by, because of what its inputs have been divided by, or its outputs shall be. */
export interface Divisors {
  /** [inputs]. */
  readonly inputs?: Float32Array | undefined;
  /** [outputs]. */
  readonly outputs?: Float32Array | undefined;
}

/** Weights for divided inputs and outputs: [outputs, inputs]. The same array if there is nothing to do. */
export function scaledWeights(matrix: Float32Array, { inputs, outputs }: Divisors): Float32Array {
  if (inputs === undefined && outputs === undefined) return matrix;
  const scaled = new Float32Array(matrix.length);
  const width = inputs?.length ?? matrix.length / (outputs?.length ?? 1);
  for (let at = 0, output = 0; at < matrix.length; at += width, output++) {
    const divisor = outputs?.[output] ?? 1;
    for (let input = 0; input < width; input++) {
      scaled[at + input] = ((matrix[at + input] as number) * (inputs?.[input] ?? 1)) / divisor;
    }
  }
  return scaled;
}

/** A bias, or a norm's weights, whose outputs shall be divided. */
export function dividedBy(values: Float32Array, divisors: Float32Array | undefined): Float32Array {
  return divisors === undefined ? values : values.map((value, index) => value / (divisors[index] as number));
}
