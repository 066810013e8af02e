import { messageOf } from '@heimdex/common';
import { writeAtomically } from '../write-atomically.js';
import { CliError } from './cli-error.js';
import { EXIT_CODES } from './exit-codes.js';

/** A destination for text. */
export interface TextSink {
  write(text: string): void | Promise<void>;
}

/** Writes a file by `write`. Throws CliError that names the file if it cannot be written, and whatever else `write` throws. */
export async function writeNamed(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (cause) {
    if (!(cause instanceof Error && 'syscall' in cause)) throw cause;
    throw new CliError(`${path} cannot be written: ${messageOf(cause)}`, EXIT_CODES.output);
  }
}

/**
 * Writes a file atomically. Throws CliError that names the file if it cannot be written, and whatever else `write` throws.
 *
 * @param write gets a destination for texts and bytes
 */
export async function writeToFile(
  path: string,
  write: (sink: { write(content: string | Uint8Array): Promise<void> }) => Promise<void>,
): Promise<void> {
  await writeNamed(path, () =>
    writeAtomically(path, (file) => write({ write: (content) => file.appendFile(content) })),
  );
}
