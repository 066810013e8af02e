import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';

/**
 * Returns a new name in the directory of `path`, to be written and then renamed to it. It does not contain the name of `path`, which
 * may be as long as the file system allows.
 */
export function temporaryFor(path: string): string {
  return join(dirname(path), `.${randomUUID()}.tmp`);
}
