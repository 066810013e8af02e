import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { messageOf } from '@heimdex/common';
import { temporaryFor } from '../temporary-file.js';
import { CliError } from './cli-error.js';
import { EXIT_CODES } from './exit-codes.js';

/** A destination for text. */
export interface TextSink {
  write(text: string): void | Promise<void>;
}

/** A text file that is written to a temporary name and published atomically by rename. */
export class FileSink implements TextSink {
  readonly #path: string;
  readonly #temporary: string;
  readonly #file: FileHandle;
  #published = false;

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path;
    this.#temporary = temporary;
    this.#file = file;
  }

  /** Throws CliError if the file cannot be created. */
  static async open(path: string): Promise<FileSink> {
    const temporary = temporaryFor(path);
    return new FileSink(path, temporary, await writing(path, open(temporary, 'wx')));
  }

  /** Throws CliError if the file cannot be written. */
  async write(text: string): Promise<void> {
    await writing(this.#path, this.#file.appendFile(text));
  }

  /** Renames the file to its final name. Throws CliError if that fails. */
  async publish(): Promise<void> {
    await writing(this.#path, rename(this.#temporary, this.#path));
    this.#published = true;
  }

  /** Closes the file and deletes it unless published. Idempotent. */
  async close(): Promise<void> {
    await this.#file.close();
    if (!this.#published) await rm(this.#temporary, { force: true });
  }
}

/** Returns the promise's value. Throws CliError that names the file. */
async function writing<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new CliError(`${path} cannot be written: ${messageOf(cause)}`, EXIT_CODES.output);
  }
}
