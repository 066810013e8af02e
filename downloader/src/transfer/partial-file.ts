import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { makeReadable } from '@heimdex/cache';
import { MIB } from '@heimdex/common';
import { appendEntry, type JournalState, journalPath, type PrefixHash, writeJournal } from './journal.js';
import { claim, EXISTING, findLeftover, removeLeftovers, type Unfinished } from './leftovers.js';
import type { OpenHasher, PrefixHasher } from './prefix-hasher.js';
import { type ByteRange, RangeSet } from './ranges.js';
import { type Resumed, rehash } from './rehash.js';
import { writeAll } from './write-all.js';

/** Parameters of a partial file. Partial files are next to the final one, on the same volume, under unique names. */
export interface PartialOptions extends Unfinished {
  /** Bytes between journal entries: the most that a kill costs. */
  readonly checkpointBytes: number;
  readonly openHasher: OpenHasher;
}

/** Maximum bytes hashed at once, so that the journal's hashes keep up with the received bytes. */
const HASH_STEP_BYTES = 16 * MIB;

/**
 * The bytes of an incomplete file: parts arrive in any order, are written at their positions, and are read back and hashed from
 * first to last as soon as there is no gap before them. A journal next to it records what is on disk, so that the next run
 * resumes after a kill. Owned by one transfer; the blob's lock excludes others.
 *
 * Names end in `.<8 hex>.incomplete`, like huggingface_hub's temporary files.
 */
export class PartialFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Bytes found on disk at the start: verified by the journal's hashes, or later by the whole file's hash. */
  readonly reusedBytes: number;
  readonly #options: PartialOptions;
  readonly #handle: FileHandle;
  readonly #hasher: PrefixHasher;
  readonly #done: RangeSet;
  #fresh = new RangeSet();
  /** Position and value of the hash. */
  #front: PrefixHash;
  #following: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  private constructor(options: PartialOptions, path: string, open: OpenFiles, found: Resumed) {
    this.#options = options;
    this.path = path;
    this.sizeBytes = options.sizeBytes;
    this.#handle = open.handle;
    this.#hasher = open.hasher;
    this.#done = found.done;
    this.#front = found.front;
    this.reusedBytes = found.done.sizeBytes;
  }

  /**
   * Opens a file that an earlier run left, or a new one. Bytes in the journal are read and hashed again; those that do not
   * match are fetched again. A temporary file of huggingface_hub, which has no journal, is resumed too: its bytes are taken
   * for the file's beginning, and the whole file's hash verifies them.
   */
  static async open(options: PartialOptions, signal: AbortSignal): Promise<PartialFile> {
    const path = `${options.finalPath}.${randomBytes(4).toString('hex')}.incomplete`;
    const left = await findLeftover(options);
    if (left !== undefined) {
      await writeJournal(journalPath(path), options, left.state);
      if (await claim(left.path, path)) return PartialFile.#openAt(options, path, EXISTING, left.state, signal);
    }
    await writeJournal(journalPath(path), options, NOTHING);
    return PartialFile.#openAt(options, path, 'wx+', NOTHING, signal);
  }

  static async #openAt(
    options: PartialOptions,
    path: string,
    flags: number | 'wx+',
    state: JournalState,
    signal: AbortSignal,
  ): Promise<PartialFile> {
    const handle = await open(path, flags, 0o644);
    let hasher: PrefixHasher | undefined;
    try {
      hasher = await options.openHasher({ path, type: options.hash.type, sizeBytes: options.sizeBytes });
      const found = await rehash(path, hasher, state, signal);
      if (state !== NOTHING) {
        await writeJournal(journalPath(path), options, { done: found.done.ranges, prefixes: [found.front] });
      }
      return new PartialFile(options, path, { handle, hasher }, found);
    } catch (error) {
      await hasher?.close();
      await handle.close();
      throw error;
    }
  }

  /** Number of bytes on disk. */
  get haveBytes(): number {
    return this.#done.sizeBytes;
  }

  /** Missing ranges, lowest first. */
  missing(): ByteRange[] {
    return this.#done.missing(this.sizeBytes);
  }

  /** Writes bytes at a position. Different positions may be written concurrently. */
  async write(position: number, chunks: readonly Buffer[]): Promise<void> {
    const sizeBytes = chunks.reduce((total, chunk) => total + chunk.length, 0);
    await writeAll(this.#handle, chunks, position);
    const range = { start: position, end: position + sizeBytes };
    this.#done.add(range);
    this.#fresh.add(range);
    this.#follow();
    if (this.#fresh.sizeBytes >= this.#options.checkpointBytes) await this.checkpoint();
  }

  /** Appends the bytes received since the last entry to the journal. */
  async checkpoint(): Promise<void> {
    const fresh = this.#fresh;
    if (fresh.sizeBytes === 0) return;
    this.#fresh = new RangeSet();
    await appendEntry(journalPath(this.path), { done: fresh.ranges, prefix: this.#front });
  }

  /** Waits until all bytes are hashed and on disk; returns the whole file's hash in hex. All bytes must have been written. */
  async finish(): Promise<string> {
    // What was left may be longer than the file; only the file's bytes are hashed.
    await this.#handle.truncate(this.sizeBytes);
    // A rename must not reach the disk before the bytes, or a power failure would leave an empty file under the final name.
    await Promise.all([this.#handle.datasync(), this.#hashAll()]);
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#front.hex;
  }

  /** Renames the file to its final name. Call it only if the hash matches. */
  async publish(): Promise<void> {
    await makeReadable(this.#handle);
    await this.close();
    await rename(this.path, this.#options.finalPath);
    await removeLeftovers(this.#options.finalPath);
  }

  /** Closes the file and keeps it, with its journal, for the next run. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#following;
    await this.#hasher.close();
    await this.#handle.close();
  }

  /** Closes and deletes the file. */
  async discard(): Promise<void> {
    await this.close();
    await rm(this.path, { force: true });
    await rm(journalPath(this.path), { force: true });
  }

  async #hashAll(): Promise<void> {
    while (this.#front.end < this.sizeBytes && this.#failure === undefined) {
      this.#follow();
      if (this.#following === undefined) throw new Error(`bytes from ${this.#front.end} are missing in ${this.path}`);
      await this.#following;
    }
  }

  /** Hashes in the background the bytes on disk that have no gap before them. */
  #follow(): void {
    if (this.#following !== undefined || this.#closed || this.#failure !== undefined) return;
    if (this.#done.endOfRunAt(this.#front.end) === this.#front.end) return;
    this.#following = this.#hashOn()
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#following = undefined;
      });
  }

  async #hashOn(): Promise<void> {
    while (!this.#closed) {
      const end = Math.min(this.#done.endOfRunAt(this.#front.end), this.#front.end + HASH_STEP_BYTES);
      if (end === this.#front.end) return;
      this.#front = { end, hex: await this.#hasher.advance(end) };
    }
  }
}

interface OpenFiles {
  readonly handle: FileHandle;
  readonly hasher: PrefixHasher;
}

const NOTHING: JournalState = { done: [], prefixes: [] };
