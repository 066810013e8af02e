import type { Hash } from 'node:crypto';
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type ContentHash, startContentHash } from '@heimdex/cache';
import {
  appendEntry,
  type JournalState,
  type JournalSubject,
  journalPath,
  type PrefixHash,
  readJournal,
  writeJournal,
} from './journal.js';
import { type ByteRange, RangeSet } from './ranges.js';

/** What a partial file is of. */
export interface PartialOptions {
  /** Where the finished file will lie. Partial files lie beside it, on the same volume, under names of their own. */
  readonly finalPath: string;
  readonly sizeBytes: number;
  readonly hash: ContentHash;
  /** A kill costs at most so many bytes: the journal is written when that many have come. */
  readonly checkpointBytes: number;
}

const READ_BYTES = 1024 * 1024;

/**
 * The bytes of one file on their way: pieces come in any order, are written where they belong, and are hashed from the
 * first to the last byte as soon as the bytes before them are there. Beside it a journal says what is on disk, so that
 * the next run after a kill goes on. Owned by one transfer; the lock of the blob keeps other processes away.
 *
 * Names end in `.<8 hex>.incomplete`, as huggingface_hub names its own temporary files.
 */
export class PartialFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Bytes found on disk at the start: proved against the journal's hashes, or to be proved by the whole file's hash. */
  readonly reusedBytes: number;
  readonly #options: PartialOptions;
  readonly #handle: FileHandle;
  readonly #done: RangeSet;
  #fresh = new RangeSet();
  #hash: Hash;
  #front: number;
  #following: Promise<void> | undefined;
  #followFailure: unknown;
  #closed = false;

  private constructor(options: PartialOptions, path: string, handle: FileHandle, found: Resumed) {
    this.#options = options;
    this.path = path;
    this.sizeBytes = options.sizeBytes;
    this.#handle = handle;
    this.#done = found.done;
    this.#hash = found.hash;
    this.#front = found.front;
    this.reusedBytes = found.done.sizeBytes;
  }

  /**
   * Opens the file to go on with what an earlier run left, or a new one. Bytes that the journal vouches for are read
   * and hashed again; those that do not match are fetched anew. A temporary file of huggingface_hub, which has no
   * journal, is taken up too: its bytes are the file's beginning, or the whole file's hash will say that they are not.
   */
  static async open(options: PartialOptions, signal: AbortSignal): Promise<PartialFile> {
    const path = `${options.finalPath}.${randomBytes(4).toString('hex')}.incomplete`;
    const left = await findLeftover(options);
    const state = left === undefined ? { done: [], prefixes: [] } : left.state;
    await writeJournal(journalPath(path), options, state);
    if (left !== undefined) await claim(left.path, path);
    const handle = await open(path, left === undefined ? 'wx+' : 'r+', 0o644);
    try {
      if (left === undefined) return new PartialFile(options, path, handle, nothing(options));
      const found = await rehash(handle, options, state, signal);
      const file = new PartialFile(options, path, handle, found);
      await writeJournal(journalPath(path), options, { done: found.done.ranges, prefixes: [file.#prefix()] });
      return file;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** How many bytes are on disk. */
  get haveBytes(): number {
    return this.#done.sizeBytes;
  }

  /** What is not on disk yet, lowest first. */
  missing(): ByteRange[] {
    return this.#done.missing(this.sizeBytes);
  }

  /** Writes bytes at a position. Different positions may be written at the same time. */
  async write(position: number, chunks: readonly Buffer[]): Promise<void> {
    const sizeBytes = chunks.reduce((total, chunk) => total + chunk.length, 0);
    const writing = writeAll(this.#handle, chunks, position);
    if (position === this.#front && this.#following === undefined) {
      // Hashed while the kernel writes: both take about as long.
      for (const chunk of chunks) this.#hash.update(chunk);
      this.#front += sizeBytes;
    }
    await writing;
    const range = { start: position, end: position + sizeBytes };
    this.#done.add(range);
    this.#fresh.add(range);
    this.#follow();
    if (this.#fresh.sizeBytes >= this.#options.checkpointBytes) await this.checkpoint();
  }

  /** Writes to the journal what has come since it was last written. */
  async checkpoint(): Promise<void> {
    const fresh = this.#fresh;
    if (fresh.sizeBytes === 0) return;
    this.#fresh = new RangeSet();
    await appendEntry(journalPath(this.path), { done: fresh.ranges, prefix: this.#prefix() });
  }

  /** Waits until all bytes are hashed and on disk, and gives the hash of the whole file in hex. All bytes must have come. */
  async finish(): Promise<string> {
    while (this.#front < this.sizeBytes) {
      this.#follow();
      if (this.#following === undefined) throw new Error(`bytes from ${this.#front} are missing in ${this.path}`);
      await this.#following;
      if (this.#followFailure !== undefined) throw this.#followFailure;
    }
    // A rename must not reach the disk before the bytes, or a power cut would leave an empty file under the final name.
    await this.#handle.datasync();
    return this.#hash.copy().digest('hex');
  }

  /** Gives the file its final name. Call it only with the right hash. */
  async publish(): Promise<void> {
    await this.#handle.chmod(0o644);
    await this.close();
    await rename(this.path, this.#options.finalPath);
    await removeLeftovers(this.#options.finalPath);
  }

  /** Closes the file and leaves it, with its journal, for the next run. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#following;
    await this.#handle.close();
  }

  /** Closes the file and throws its bytes away. */
  async discard(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
    await rm(journalPath(this.path), { force: true });
  }

  #prefix(): PrefixHash {
    return { end: this.#front, hex: this.#hash.copy().digest('hex') };
  }

  /** Hashes, in the background, bytes that were written before those in front of them came. */
  #follow(): void {
    if (this.#following !== undefined || this.#done.endOfRunAt(this.#front) === this.#front) return;
    this.#following = this.#hashWritten()
      .catch((error: unknown) => {
        this.#followFailure = error;
      })
      .finally(() => {
        this.#following = undefined;
      });
  }

  async #hashWritten(): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const end = Math.min(this.#done.endOfRunAt(this.#front), this.#front + READ_BYTES);
      if (end === this.#front) return;
      const { bytesRead } = await this.#handle.read(buffer, 0, end - this.#front, this.#front);
      if (bytesRead === 0) throw new Error(`${this.path} became shorter while it was written`);
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#front += bytesRead;
    }
  }
}

interface Resumed {
  readonly done: RangeSet;
  readonly hash: Hash;
  readonly front: number;
}

interface Leftover {
  readonly path: string;
  readonly state: JournalState;
  readonly sizeBytes: number;
}

function nothing(options: PartialOptions): Resumed {
  return { done: new RangeSet(), hash: startContentHash(options.hash.type, options.sizeBytes), front: 0 };
}

/** The temporary files of a blob and their journals, whoever wrote them. */
async function leftoversOf(finalPath: string): Promise<string[]> {
  const prefix = `${basename(finalPath)}.`;
  const folder = dirname(finalPath);
  const names = await readdir(folder);
  return names
    .filter((name) => name.startsWith(prefix) && name.includes('incomplete'))
    .map((name) => join(folder, name));
}

/** Bytes of a file that an earlier run left and a next one will go on with, before they are proved. */
export async function resumableBytes(options: Omit<PartialOptions, 'checkpointBytes'>): Promise<number> {
  try {
    return (await findLeftover(options))?.sizeBytes ?? 0;
  } catch {
    return 0;
  }
}

/** The temporary file with the most bytes to go on with. */
async function findLeftover(options: Omit<PartialOptions, 'checkpointBytes'>): Promise<Leftover | undefined> {
  let best: Leftover | undefined;
  const paths = (await leftoversOf(options.finalPath)).filter((path) => path.endsWith('incomplete'));
  for (const path of paths) {
    const state = (await readJournal(journalPath(path), options)) ?? (await withoutJournal(path, options));
    if (state === undefined) continue;
    const sizeBytes = new RangeSet(state.done).sizeBytes;
    if (sizeBytes > (best?.sizeBytes ?? 0)) best = { path, state, sizeBytes };
  }
  return best;
}

async function withoutJournal(path: string, subject: JournalSubject): Promise<JournalState | undefined> {
  const { size } = await stat(path);
  if (size === 0 || size > subject.sizeBytes) return undefined;
  return { done: [{ start: 0, end: size }], prefixes: [] };
}

/**
 * Takes a leftover by renaming it: of two processes that a broken lock let in, one gets it. The journal of the new name
 * is there already, so a kill in between loses nothing.
 */
async function claim(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    await rm(journalPath(to), { force: true });
    throw error;
  }
  await rm(journalPath(from), { force: true });
}

/** Reads the bytes from the first on, and believes them as far as the journal's hashes do. */
async function rehash(
  handle: FileHandle,
  options: PartialOptions,
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
      if (bytesRead === 0) throw new Error(`${options.finalPath}: a partial file became shorter while it was read`);
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

/** Removes what earlier runs and other programs left of a blob that is whole now. Call it under the blob's lock. */
async function removeLeftovers(finalPath: string): Promise<void> {
  for (const path of await leftoversOf(finalPath)) await rm(path, { force: true });
}

/** Writes all bytes of several buffers at a position; a short write is continued. */
async function writeAll(handle: FileHandle, chunks: readonly Buffer[], position: number): Promise<void> {
  let rest: Buffer[] = [...chunks];
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = dropBytes(rest, bytesWritten);
  }
}

function dropBytes(chunks: readonly Buffer[], count: number): Buffer[] {
  let left = count;
  const rest: Buffer[] = [];
  for (const chunk of chunks) {
    if (left >= chunk.length) {
      left -= chunk.length;
    } else {
      rest.push(left > 0 ? chunk.subarray(left) : chunk);
      left = 0;
    }
  }
  return rest;
}
