import type { Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { startContentHash } from '@heimdex/cache';
import type { JournalState, JournalSubject } from './journal.js';
import { RangeSet } from './ranges.js';

/** What of a partial file can be gone on with. */
export interface Resumed {
  readonly done: RangeSet;
  readonly hash: Hash;
  readonly front: number;
}

const READ_BYTES = 1024 * 1024;

/** Nothing to go on with. */
export function nothing(options: JournalSubject): Resumed {
  return { done: new RangeSet(), hash: startContentHash(options.hash.type, options.sizeBytes), front: 0 };
}

/** Reads the bytes from the first on, and believes them as far as the journal's hashes do. */
export async function rehash(
  handle: FileHandle,
  options: JournalSubject,
  state: JournalState,
  signal: AbortSignal,
): Promise<Resumed> {
  const { size } = await handle.stat();
  const onDisk = new RangeSet(
    state.done.filter((range) => range.start < size).map((range) => ({ ...range, end: Math.min(range.end, size) })),
  );
  const end = onDisk.endOfRunAt(0);
  const marks = state.prefixes.filter((prefix) => prefix.end > 0 && prefix.end <= end);
  const hash = startContentHash(options.hash.type, options.sizeBytes);
  let proved = { hash: hash.copy(), front: 0 };
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  let position = 0;
  for (const stop of [...marks, { end, hex: undefined }]) {
    while (position < stop.end) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(READ_BYTES, stop.end - position), position);
      if (bytesRead === 0) throw new Error('a partial file became shorter while it was read');
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
    if (stop.hex !== undefined && hash.copy().digest('hex') !== stop.hex) {
      const beyond = onDisk.ranges.filter((range) => range.start > end);
      const done = new RangeSet([{ start: 0, end: proved.front }, { start: stop.end, end }, ...beyond]);
      return { done, hash: proved.hash, front: proved.front };
    }
    proved = { hash: hash.copy(), front: position };
  }
  return { done: onDisk, hash: proved.hash, front: proved.front };
}
