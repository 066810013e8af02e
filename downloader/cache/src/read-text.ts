import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';

/** Reads a text of the volume. A named pipe in its place would be awaited for ever, and past SIGTERM: it is empty instead. */
export function readText(path: string): Promise<string> {
  return readFile(path, { encoding: 'utf8', flag: constants.O_RDONLY | constants.O_NONBLOCK });
}
