import { exponentialDelayMs } from '@heimdex/common';

const FIRST_MS = 500;
const MAX_MS = 30_000;

/** How long to wait before a lost worker is restarted: 0 after the first loss in a row, then 0.5 s, doubled each time, 30 s at most. */
export function backoffMs(lossesInARow: number): number {
  return lossesInARow <= 1 ? 0 : exponentialDelayMs(lossesInARow - 1, FIRST_MS, MAX_MS);
}
