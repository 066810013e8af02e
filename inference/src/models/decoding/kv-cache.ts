import { Tensor } from 'onnxruntime-node';

/** Tokens by which a cache grows. Unfilled positions are computed and masked out. */
const BLOCK_TOKENS = 64;

/** Capacity of a cache for this many tokens. Equal for equal lengths, so that caches can be concatenated. */
export function capacityFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
}

/** Copies keys or values [rows, heads, tokens, size] into a cache with spare capacity. */
export function withCapacity(cache: Tensor, tokens: number, capacity = capacityFor(tokens)): Tensor {
  const [rows = 0, heads = 0, before = 0, size = 0] = cache.dims;
  const from = cache.data as Float32Array;
  const to = new Float32Array(rows * heads * capacity * size);
  for (let line = 0; line < rows * heads; line++) {
    const at = line * before * size;
    to.set(from.subarray(at, at + tokens * size), line * capacity * size);
  }
  return new Tensor('float32', to, [rows, heads, capacity, size]);
}

/**
 * Appends a token's keys or values [rows, heads, 1, size] after the `tokens` in a cache; allocates a larger cache when
 * it is full.
 */
export function append(cache: Tensor, tokens: number, token: Tensor): Tensor {
  const whole = tokens < (cache.dims[2] ?? 0) ? cache : withCapacity(cache, tokens, capacityFor(tokens + 1));
  const [rows = 0, heads = 0, capacity = 0, size = 0] = whole.dims;
  const to = whole.data as Float32Array;
  const from = token.data as Float32Array;
  for (let line = 0; line < rows * heads; line++) {
    to.set(from.subarray(line * size, (line + 1) * size), (line * capacity + tokens) * size);
  }
  return whole;
}

/** The mask added to a step's scores: 0 for filled positions and the new token, -Infinity for spare capacity. */
export function stepMask(tokens: number, capacity: number): Tensor {
  const mask = new Float32Array(capacity + 1).fill(Number.NEGATIVE_INFINITY, tokens, capacity);
  return new Tensor('float32', mask, [1, 1, 1, capacity + 1]);
}

/**
 * Copies tokens `from` to `to` between rows of a cache, in place: row i receives those of `rows[i]`. The rows must
 * share their earlier tokens.
 */
export function exchangeRows(cache: Tensor, rows: readonly number[], from: number, to: number): void {
  const [, heads = 0, capacity = 0, size = 0] = cache.dims;
  const data = cache.data as Float32Array;
  const length = (to - from) * size;
  const offsetOf = (row: number, head: number) => ((row * heads + head) * capacity + from) * size;
  // Rows that are still needed after they are overwritten.
  const moved = rows.flatMap((source, row) => (source === row ? [] : [{ source, row }]));
  const kept = new Float32Array(moved.length * length);
  for (let head = 0; head < heads; head++) {
    moved.forEach(({ source }, index) => {
      const at = offsetOf(source, head);
      kept.set(data.subarray(at, at + length), index * length);
    });
    moved.forEach(({ row }, index) => {
      data.set(kept.subarray(index * length, (index + 1) * length), offsetOf(row, head));
    });
  }
}
