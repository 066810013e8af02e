import { stat } from 'node:fs/promises';
import type { JournalState, PrefixHash } from './journal.js';
import type { PrefixHasher } from './prefix-hasher.js';
import { RangeSet } from './ranges.js';

/** What of a partial file can be gone on with. */
export interface Resumed {
  readonly done: RangeSet;
  /** How far the hasher has read, and the hash up to there. */
  readonly front: PrefixHash;
}

/** How much is read between two looks at the signal. */
const STEP_BYTES = 64 * 1024 * 1024;

/**
 * Reads a partial file's bytes again, from the first on, and believes the journal as far as its hashes are met. At the
 * first one that is not, the bytes since the one before are given up; the hasher stands where the proved bytes end.
 */
export async function rehash(
  path: string,
  hasher: PrefixHasher,
  state: JournalState,
  signal: AbortSignal,
): Promise<Resumed> {
  const { size } = await stat(path);
  const onDisk = new RangeSet(
    state.done.filter(({ start }) => start < size).map(({ start, end }) => ({ start, end: Math.min(end, size) })),
  );
  const runEnd = onDisk.endOfRunAt(0);
  let front: PrefixHash = { end: 0, hex: await hasher.advance(0) };
  for (const stop of stopsUpTo(runEnd, state.prefixes)) {
    signal.throwIfAborted();
    const hex = await hasher.advance(stop.end);
    if (stop.hex !== undefined && stop.hex !== hex) {
      await hasher.rollback();
      const beyond = onDisk.ranges.filter(({ start }) => start > runEnd);
      const kept = [{ start: 0, end: front.end }, { start: stop.end, end: runEnd }, ...beyond];
      return { done: new RangeSet(kept), front };
    }
    front = { end: stop.end, hex };
  }
  return { done: onDisk, front };
}

/** Positions to stop at, with the hash that the journal gives for them; between two of them no more than a step. */
function stopsUpTo(end: number, prefixes: readonly PrefixHash[]): { readonly end: number; readonly hex?: string }[] {
  const stops: { readonly end: number; readonly hex?: string }[] = [];
  let position = 0;
  const reach = (target: number) => {
    while (position + STEP_BYTES < target) {
      position += STEP_BYTES;
      stops.push({ end: position });
    }
    position = target;
  };
  for (const prefix of prefixes) {
    if (prefix.end === 0 || prefix.end > end || prefix.end < position) continue;
    reach(prefix.end);
    stops.push(prefix);
  }
  if (position < end) {
    reach(end);
    stops.push({ end });
  }
  return stops;
}
