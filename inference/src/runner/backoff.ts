/** Restart delay of a lost worker. Pure. */
import { exponentialDelayMs } from '@heimdex/common';

const INITIAL_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

/** Returns 0 after the first consecutive loss, then 0.5 s, doubled each time up to 30 s. */
export function backoffMs(consecutiveLosses: number): number {
  return consecutiveLosses <= 1 ? 0 : exponentialDelayMs(consecutiveLosses - 1, INITIAL_DELAY_MS, MAX_DELAY_MS);
}
