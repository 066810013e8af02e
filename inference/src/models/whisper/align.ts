import type { Tensor } from 'onnxruntime-node';

/** Width of the median filter over time, in positions of 20 ms, as in the reference. */
const MEDIAN_WIDTH = 7;

/**
 * Returns the 20 ms position at which each row from `fromRow` to `toRow` begins. Uses the cross attentions of the
 * alignment heads: softmax over the audio present, standardized over the tokens, median-filtered over time, averaged
 * over the heads, then dynamic time warping. Source: find_alignment in OpenAI's whisper/timing.py.
 *
 * @param attentions by layer, [1, heads, tokens, positions], after softmax
 */
export function alignRows(
  attentions: ReadonlyMap<number, Tensor>,
  heads: readonly (readonly [number, number])[],
  audioPositions: number,
  fromRow: number,
  toRow: number,
): readonly number[] {
  const rows = toRow - fromRow;
  const mean = new Float64Array(rows * audioPositions);
  for (const [layer, head] of heads) {
    const tensor = attentions.get(layer);
    if (tensor === undefined) throw new Error(`Expected the cross attentions of layer ${layer}.`);
    const weights = standardized(tensor, head, audioPositions);
    for (let row = 0; row < rows; row++) {
      const line = weights.subarray((fromRow + row) * audioPositions, (fromRow + row + 1) * audioPositions);
      const smooth = medianFiltered(line);
      for (let i = 0; i < audioPositions; i++)
        mean[row * audioPositions + i] = (mean[row * audioPositions + i] ?? 0) + (smooth[i] ?? 0) / heads.length;
    }
  }
  return warp(mean, rows, audioPositions);
}

/** One head's weights over the audio present; each column has mean 0 and deviation 1 over the tokens. */
function standardized(tensor: Tensor, head: number, audioPositions: number): Float64Array {
  const [, , tokens = 0, positions = 0] = tensor.dims;
  const data = tensor.data as Float32Array;
  const weights = new Float64Array(tokens * audioPositions);
  for (let token = 0; token < tokens; token++) {
    const start = (head * tokens + token) * positions;
    let sum = 0;
    for (let i = 0; i < audioPositions; i++) sum += data[start + i] ?? 0;
    // The softmax over a subset equals the full softmax divided by the subset's share.
    for (let i = 0; i < audioPositions; i++) weights[token * audioPositions + i] = (data[start + i] ?? 0) / (sum || 1);
  }
  for (let i = 0; i < audioPositions; i++) {
    let sum = 0;
    for (let token = 0; token < tokens; token++) sum += weights[token * audioPositions + i] ?? 0;
    const mean = sum / tokens;
    let squares = 0;
    for (let token = 0; token < tokens; token++) squares += ((weights[token * audioPositions + i] ?? 0) - mean) ** 2;
    const deviation = Math.sqrt(squares / tokens) || 1;
    for (let token = 0; token < tokens; token++) {
      const at = token * audioPositions + i;
      weights[at] = ((weights[at] ?? 0) - mean) / deviation;
    }
  }
  return weights;
}

/** Median filter of width 7 with mirrored ends. A shorter line is returned unchanged. */
export function medianFiltered(line: Float64Array): Float64Array {
  const half = Math.floor(MEDIAN_WIDTH / 2);
  if (line.length <= half) return line;
  const mirrored = (i: number) => line[i < 0 ? -i : i >= line.length ? 2 * line.length - 2 - i : i] ?? 0;
  const window = new Float64Array(MEDIAN_WIDTH);
  return line.map((_, i) => {
    for (let k = 0; k < MEDIAN_WIDTH; k++) window[k] = mirrored(i - half + k);
    return window.sort()[half] ?? 0;
  });
}

/**
 * The path of maximum weight from the first row and column to the last; each step advances a row, a column or both.
 * Returns the column at which each row is entered.
 */
export function warp(weights: Float64Array, rows: number, columns: number): readonly number[] {
  const steps = stepsOfPaths(weights, rows, columns);
  const entered = new Array<number>(rows).fill(0);
  let row = rows;
  let column = columns;
  while (row > 0) {
    entered[row - 1] = Math.max(0, column - 1);
    const step = column === 0 ? DOWN : steps[row * (columns + 1) + column];
    if (step !== ALONG) row--;
    if (step !== DOWN) column--;
  }
  return entered;
}

/** The last step of the path of maximum weight to each row and column, which count from 1. */
function stepsOfPaths(weights: Float64Array, rows: number, columns: number): Uint8Array {
  const width = columns + 1;
  const cost = new Float64Array((rows + 1) * width).fill(Number.POSITIVE_INFINITY);
  const steps = new Uint8Array((rows + 1) * width);
  cost[0] = 0;
  for (let row = 1; row <= rows; row++) {
    for (let column = 1; column <= columns; column++) {
      const both = cost[(row - 1) * width + column - 1] ?? 0;
      const down = cost[(row - 1) * width + column] ?? 0;
      const along = cost[row * width + column - 1] ?? 0;
      const step = both < down && both < along ? BOTH : down < both && down < along ? DOWN : ALONG;
      const before = step === BOTH ? both : step === DOWN ? down : along;
      cost[row * width + column] = before - (weights[(row - 1) * columns + column - 1] ?? 0);
      steps[row * width + column] = step;
    }
  }
  return steps;
}

const BOTH = 0;
const DOWN = 1;
const ALONG = 2;
