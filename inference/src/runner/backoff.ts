/** How long to wait before a lost worker is started again. Pure. */

const FIRST_MS = 500;
const MAX_MS = 30_000;

/** 0 after the first loss in a row, then 0.5 s, doubled each time, 30 s at most. */
export function backoffMs(lossesInARow: number): number {
  return lossesInARow <= 1 ? 0 : Math.min(MAX_MS, FIRST_MS * 2 ** (lossesInARow - 2));
}
