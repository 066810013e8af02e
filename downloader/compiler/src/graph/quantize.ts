/** Quantizes weights to 8 bits. A matrix is [outputs, inputs], row-major, as in torch. */

/** Maximum magnitude of a signed 8-bit weight: symmetric, so -128 is not used. */
const MAX_STEP = 127;
/**
 * Maximum sum of two adjacent weights of one sign in the overflow-safe form: the 8-bit product of x86 CPUs without VNNI (MLAS,
 * vpmaddubsw) adds two products of an unsigned activation (at most 255) in 16 bits, and 255 x 127 < 32768.
 */
const MAX_PAIR = 127;
/** Rows and columns of a block in a transposition: what fits the first cache. */
const TILE = 64;

export interface QuantizedColumns {
  /** [inputs, outputs], the layout of the runtime's products. */
  readonly values: Int8Array;
  /** One per output. */
  readonly scales: Float32Array;
}

/**
 * Quantizes weights to int8 with one scale per output (symmetric). `overflowSafe`: each output's weights are scaled down until no
 * two adjacent inputs of one sign sum to more than 127, so that the fast product of every CPU is exact.
 */
export function quantizeColumns(
  matrix: Float32Array,
  outputs: number,
  inputs: number,
  overflowSafe: boolean,
): QuantizedColumns {
  const values = new Int8Array(inputs * outputs);
  const scales = new Float32Array(outputs);
  const rows = new Int8Array(TILE * inputs);
  for (let first = 0; first < outputs; first += TILE) {
    const count = Math.min(TILE, outputs - first);
    for (let index = 0; index < count; index++) {
      const row = matrix.subarray((first + index) * inputs, (first + index + 1) * inputs);
      const peak = overflowSafe ? Math.max(peakOf(row), pairPeakOf(row)) : peakOf(row);
      const quantized = rows.subarray(index * inputs, (index + 1) * inputs);
      scales[first + index] = peak / MAX_STEP;
      quantizeRow(row, peak, quantized);
      if (overflowSafe) boundPairs(quantized);
    }
    for (let input = 0; input < inputs; input++) {
      for (let index = 0; index < count; index++) {
        values[input * outputs + first + index] = rows[index * inputs + input] as number;
      }
    }
  }
  return { values, scales };
}

/** Returns the remainder of the weights after `quantizeColumns`, [outputs, inputs]. */
export function remaindersOf(
  matrix: Float32Array,
  { values, scales }: QuantizedColumns,
  outputs: number,
  inputs: number,
): Float32Array {
  const left = new Float32Array(matrix.length);
  for (let output = 0; output < outputs; output++) {
    const scale = scales[output] as number;
    for (let input = 0; input < inputs; input++) {
      const at = output * inputs + input;
      left[at] = (matrix[at] as number) - (values[input * outputs + output] as number) * scale;
    }
  }
  return left;
}

function peakOf(row: Float32Array): number {
  let peak = 0;
  for (let i = 0; i < row.length; i++) {
    const value = Math.abs(row[i] as number);
    if (value > peak) peak = value;
  }
  return peak;
}

/** Returns the maximum sum of two adjacent values of one sign. */
function pairPeakOf(row: Float32Array): number {
  let peak = 0;
  for (let i = 0; i + 1 < row.length; i += 2) {
    const one = row[i] as number;
    const other = row[i + 1] as number;
    const sum = Math.abs(one + other);
    if (one * other > 0 && sum > peak) peak = sum;
  }
  return peak;
}

function quantizeRow(row: Float32Array, peak: number, into: Int8Array): void {
  const factor = peak > 0 ? MAX_STEP / peak : 0;
  // Rounds to nearest by an addition: Math.round is five times slower.
  for (let i = 0; i < row.length; i++) into[i] = (((row[i] as number) * factor + 128.5) | 0) - 128;
}

/** Both of a pair may have been rounded away from zero. */
function boundPairs(row: Int8Array): void {
  for (let i = 0; i + 1 < row.length; i += 2) {
    const one = row[i] as number;
    const other = row[i + 1] as number;
    if (one * other > 0 && Math.abs(one + other) > MAX_PAIR) row[i] = one - Math.sign(one);
  }
}

export interface QuantizedBlocks {
  /** [outputs, blocks, BLOCK_SIZE], zero at 128. */
  readonly values: Uint8Array;
  /** [outputs, blocks]. */
  readonly scales: Float32Array;
}

/** Inputs that share a scale. */
export const BLOCK_SIZE = 32;

/**
 * Quantizes weights for the runtime's MatMulNBits: 8 bits, one scale per BLOCK_SIZE inputs of an output (symmetric). The last block is
 * filled with zeros.
 */
export function quantizeBlocks(matrix: Float32Array, outputs: number, inputs: number): QuantizedBlocks {
  const blocks = Math.ceil(inputs / BLOCK_SIZE);
  const values = new Uint8Array(outputs * blocks * BLOCK_SIZE).fill(128);
  const scales = new Float32Array(outputs * blocks);
  for (let output = 0; output < outputs; output++) {
    for (let block = 0; block < blocks; block++) {
      const start = output * inputs + block * BLOCK_SIZE;
      const end = Math.min(start + BLOCK_SIZE, (output + 1) * inputs);
      let peak = 0;
      for (let i = start; i < end; i++) peak = Math.max(peak, Math.abs(matrix[i] as number));
      const index = output * blocks + block;
      scales[index] = peak / MAX_STEP;
      const factor = peak > 0 ? MAX_STEP / peak : 0;
      const shift = index * BLOCK_SIZE - start;
      for (let i = start; i < end; i++) values[shift + i] = ((matrix[i] as number) * factor + 128.5) | 0;
    }
  }
  return { values, scales };
}

/** [rows, columns] as [columns, rows], some rows of it at a time: each part is overwritten by the next. */
export function* transposed(matrix: Float32Array, rows: number, columns: number): Generator<Float32Array> {
  const turned = new Float32Array(TILE * rows);
  for (let left = 0; left < columns; left += TILE) {
    const right = Math.min(columns, left + TILE);
    for (let top = 0; top < rows; top += TILE) {
      const bottom = Math.min(rows, top + TILE);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          turned[(column - left) * rows + row] = matrix[row * columns + column] as number;
        }
      }
    }
    yield turned.subarray(0, (right - left) * rows);
  }
}
