import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';

/** Somewhere text goes. */
export interface TextSink {
  write(text: string): void | Promise<void>;
}

/** A text file that appears whole: written under a temporary name, published by a rename. */
export class FileSink implements TextSink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #published = false;
  #closed = false;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  static async open(path: string): Promise<FileSink> {
    const temporary = `${path}.${randomUUID()}.tmp`;
    return new FileSink(path, temporary, await open(temporary, 'wx'));
  }

  async write(text: string): Promise<void> {
    await this.#file.appendFile(text);
  }

  /** Gives the file its name. */
  async publish(): Promise<void> {
    await rename(this.#temporary, this.#path);
    this.#published = true;
  }

  /** What was not published is gone. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#file.close();
    if (!this.#published) await rm(this.#temporary, { force: true });
  }
}
