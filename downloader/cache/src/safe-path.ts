/** Names from a network or a file are untrusted: none may point outside its directory. */
import { CacheError } from './errors.js';

const MAX_PATH_LENGTH = 1024;
const MAX_NAME_BYTES = 255;

/**
 * Returns why a repository's path cannot be used on the volume, or undefined if it can: no absolute path, no `.` or `..`, no
 * empty part, no backslash or colon (a separator, a drive or a stream on other systems), no control character, no part longer
 * than a file name may be.
 */
export function unsafePathReason(path: string): string | undefined {
  if (path === '') return 'it is empty';
  if (path.length > MAX_PATH_LENGTH) return `it is longer than ${MAX_PATH_LENGTH} characters`;
  if (path.startsWith('/')) return 'it is absolute';
  if (path.includes('\\')) return 'it has a backslash';
  if (path.includes(':')) return 'it has a colon';
  if ([...path].some((character) => character < ' ' || character === '\x7f')) return 'it has a control character';
  for (const part of path.split('/')) {
    if (part === '') return 'it has an empty part';
    if (part === '.' || part === '..') return `it has a part "${part}"`;
    if (Buffer.byteLength(part) > MAX_NAME_BYTES) return `a part is longer than ${MAX_NAME_BYTES} bytes`;
  }
  return undefined;
}

/** Returns the path if it is safe. Throws PATH_UNSAFE otherwise. */
export function assertSafePath(path: string): string {
  const reason = unsafePathReason(path);
  if (reason === undefined) return path;
  throw new CacheError('PATH_UNSAFE', `The path ${JSON.stringify(path)} cannot be used in the cache: ${reason}`, {
    file: path,
  });
}
