import { type Hash, randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { appendEntry, type JournalState, journalPath, type PrefixHash, writeJournal } from './journal.js';
import { claim, findLeftover, removeLeftovers, type Unfinished } from './leftovers.js';
import { type ByteRange, RangeSet } from './ranges.js';
import { nothing, type Resumed, rehash } from './rehash.js';
import { writeAll } from './write-all.js';

/** What a partial file is of. Partial files lie beside the final one, on the same volume, under names of their own. */
export interface PartialOptions extends Unfinished {
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
    if (left !== undefined) {
      await writeJournal(journalPath(path), options, left.state);
      if (await claim(left.path, path)) return PartialFile.#goOn(options, path, left.state, signal);
    }
    await writeJournal(journalPath(path), options, { done: [], prefixes: [] });
    return new PartialFile(options, path, await open(path, 'wx+', 0o644), nothing(options));
  }

  static async #goOn(
    options: PartialOptions,
    path: string,
    state: JournalState,
    signal: AbortSignal,
  ): Promise<PartialFile> {
    const handle = await open(path, 'r+');
    try {
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
