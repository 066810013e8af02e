import { Tensor } from 'onnxruntime-node';

/** A cache grows by room for so many tokens: what is not filled is computed with and thrown away. */
const BLOCK_TOKENS = 64;

/** Room of a cache that holds so many tokens. The same for all of one length, so that they can be joined. */
export function roomFor(tokens: number): number {
  return Math.ceil(tokens / BLOCK_TOKENS) * BLOCK_TOKENS;
}

/** The keys or values [rows, heads, tokens, size] of so many tokens, in a cache with room for more. Copies. */
export function withRoom(cache: Tensor, tokens: number, room = roomFor(tokens)): Tensor {
  const [rows = 0, heads = 0, before = 0, size = 0] = cache.dims;
  const from = cache.data as Float32Array;
  const to = new Float32Array(rows * heads * room * size);
  for (let line = 0; line < rows * heads; line++) {
    const at = line * before * size;
    to.set(from.subarray(at, at + tokens * size), line * room * size);
  }
  return new Tensor('float32', to, [rows, heads, room, size]);
}

/** Writes a token's keys or values [rows, heads, 1, size] behind the `tokens` of a cache; in a larger one where it is full. */
export function append(cache: Tensor, tokens: number, token: Tensor): Tensor {
  const whole = tokens < (cache.dims[2] ?? 0) ? cache : withRoom(cache, tokens, roomFor(tokens + 1));
  const [rows = 0, heads = 0, room = 0, size = 0] = whole.dims;
  const to = whole.data as Float32Array;
  const from = token.data as Float32Array;
  for (let line = 0; line < rows * heads; line++) {
    to.set(from.subarray(line * size, (line + 1) * size), (line * room + tokens) * size);
  }
  return whole;
}

/** What is added to a step's scores: nothing for the tokens there are and for the new one, -Infinity for the room left. */
export function stepMask(tokens: number, room: number): Tensor {
  const mask = new Float32Array(room + 1).fill(Number.NEGATIVE_INFINITY, tokens, room);
  return new Tensor('float32', mask, [1, 1, 1, room + 1]);
}

/**
 * Gives each row of a cache the tokens `from` to `to` of another, in place: row i has those of `rows[i]` afterwards. For rows
 * that have the tokens before in common.
 */
export function exchangeRows(cache: Tensor, rows: readonly number[], from: number, to: number): void {
  const [, heads = 0, room = 0, size = 0] = cache.dims;
  const data = cache.data as Float32Array;
  const length = (to - from) * size;
  const placeOf = (row: number, head: number) => ((row * heads + head) * room + from) * size;
  // Rows that another still needs when they have been written over.
  const moved = rows.flatMap((source, row) => (source === row ? [] : [{ source, row }]));
  const kept = new Float32Array(moved.length * length);
  for (let head = 0; head < heads; head++) {
    moved.forEach(({ source }, index) => {
      const at = placeOf(source, head);
      kept.set(data.subarray(at, at + length), index * length);
    });
    moved.forEach(({ row }, index) => {
      data.set(kept.subarray(index * length, (index + 1) * length), placeOf(row, head));
    });
  }
}
