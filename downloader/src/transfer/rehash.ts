import { stat } from 'node:fs/promises';
import { MIB } from '@heimdex/common';
import type { JournalState, PrefixHash } from './journal.js';
import type { PrefixHasher } from './prefix-hasher.js';
import { RangeSet } from './ranges.js';

/** The resumable part of a partial file. */
export interface Resumed {
  readonly done: RangeSet;
  /** Position of the hasher, and the hash up to there. */
  readonly front: PrefixHash;
}

/** Bytes read between two checks of the signal. */
const STEP_BYTES = 64 * MIB;

/**
 * Reads a partial file's bytes again from the first and trusts the journal as far as its hashes match. At the first mismatch,
 * the bytes since the previous hash are dropped; the hasher is left at the end of the verified bytes.
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

/** Returns the positions to stop at, with the journal's hashes; at most one step between two of them. */
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
