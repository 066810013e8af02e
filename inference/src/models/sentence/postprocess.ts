import type { PoolingMode } from '@heimdex/cache';

/** The token vectors of one text: `count` rows of `size` numbers, without padding. */
export interface TokenRows {
  readonly values: Float32Array;
  readonly count: number;
  readonly size: number;
}

/** Concatenates the result of each mode. Method: sentence-transformers, Pooling. */
export function pool(rows: TokenRows, modes: readonly PoolingMode[]): Float32Array {
  const vector = new Float32Array(rows.size * modes.length);
  modes.forEach((mode, index) => {
    vector.set(POOLERS[mode](rows), index * rows.size);
  });
  return vector;
}

const POOLERS = {
  cls: (rows) => rows.values.subarray(0, rows.size),
  lasttoken: (rows) => rows.values.subarray((rows.count - 1) * rows.size, rows.count * rows.size),
  max: largest,
  mean: (rows) => weightedSum(rows, () => 1 / rows.count),
  mean_sqrt_len_tokens: (rows) => weightedSum(rows, () => 1 / Math.sqrt(rows.count)),
  weightedmean: (rows) => {
    const whole = (rows.count * (rows.count + 1)) / 2;
    return weightedSum(rows, (row) => (row + 1) / whole);
  },
} satisfies Record<PoolingMode, (rows: TokenRows) => Float32Array>;

function weightedSum(rows: TokenRows, weightOf: (row: number) => number): Float32Array {
  const sums = new Float64Array(rows.size);
  for (let row = 0; row < rows.count; row += 1) {
    const weight = weightOf(row);
    const start = row * rows.size;
    for (let at = 0; at < rows.size; at += 1) {
      sums[at] = (sums[at] as number) + (rows.values[start + at] as number) * weight;
    }
  }
  return Float32Array.from(sums);
}

function largest(rows: TokenRows): Float32Array {
  const vector = rows.values.slice(0, rows.size);
  for (let at = rows.size; at < rows.count * rows.size; at += 1) {
    const index = at % rows.size;
    vector[index] = Math.max(vector[index] as number, rows.values[at] as number);
  }
  return vector;
}
