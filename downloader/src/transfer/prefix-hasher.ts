import type { Hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { type ContentHash, startContentHash } from '@heimdex/cache';
import { MIB } from '@heimdex/common';

/** Hashes a growing file from its first byte. One call at a time. */
export interface PrefixHasher {
  /**
   * Continues to read where it stopped.
   * Throws Error if the file is shorter.
   *
   * @param end - Position to read up to; never lower than in an earlier call. The bytes before it are on disk.
   * @returns The hash of the first `end` bytes, in hex.
   */
  advance(end: number): Promise<string>;
  /** Reverts the last `advance`, once. */
  rollback(): Promise<void>;
  /** Idempotent. */
  close(): Promise<void>;
}

/** File and type of hash. git's sha1 needs the size before the first byte. */
export interface HasherSubject {
  readonly path: string;
  readonly type: ContentHash['type'];
  readonly sizeBytes: number;
}

/** Opens a hasher for an existing file. */
export type OpenHasher = (subject: HasherSubject) => Promise<PrefixHasher>;

const READ_BYTES = MIB;

/** Hashes in the calling thread. */
export async function openInlineHasher(subject: HasherSubject): Promise<PrefixHasher> {
  return new InlineHasher(subject, await open(subject.path, 'r'));
}

class InlineHasher implements PrefixHasher {
  readonly #subject: HasherSubject;
  readonly #file: FileHandle;
  readonly #buffer: Buffer;
  #state: HashState;
  #before: HashState;

  constructor(subject: HasherSubject, file: FileHandle) {
    this.#subject = subject;
    this.#file = file;
    this.#buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, subject.sizeBytes)));
    this.#state = { hash: startContentHash(subject.type, subject.sizeBytes), position: 0 };
    this.#before = this.#state;
  }

  async advance(end: number): Promise<string> {
    this.#before = { ...this.#state, hash: this.#state.hash.copy() };
    while (this.#state.position < end) {
      const bytes = Math.min(this.#buffer.length, end - this.#state.position);
      const { bytesRead } = await this.#file.read(this.#buffer, 0, bytes, this.#state.position);
      if (bytesRead === 0) throw new Error(`${this.#subject.path} ends at ${this.#state.position}, before ${end}`);
      this.#state.hash.update(this.#buffer.subarray(0, bytesRead));
      this.#state.position += bytesRead;
    }
    return this.#state.hash.copy().digest('hex');
  }

  async rollback(): Promise<void> {
    this.#state = this.#before;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

interface HashState {
  hash: Hash;
  position: number;
}
