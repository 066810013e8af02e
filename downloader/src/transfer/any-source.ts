import { combineFailures, DownloaderError } from '../errors.js';
import type { ByteSource } from './source.js';

/** Errors of a source after which another source may succeed. */
const TRY_NEXT = new Set([
  'UNREACHABLE',
  'STALLED',
  'RATE_LIMITED',
  'SERVER_FAILED',
  'ANSWER_INVALID',
  'NOT_FOUND',
  'AUTH_REQUIRED',
  'ACCESS_DENIED',
  'REDIRECT_REFUSED',
  'SIZE_MISMATCH',
  'HASH_MISMATCH',
]);

/**
 * Returns what the first of a file's sources gives that can.
 * Throws DownloaderError with the failures of all, or at once one that other sources cannot avoid.
 *
 * @param what - What none of them provided, for the message.
 */
export async function fromAnySource<Result>(
  what: string,
  sources: readonly ByteSource[],
  work: (source: ByteSource) => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  const failures: DownloaderError[] = [];
  for (const source of sources) {
    try {
      return await work(source);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof DownloaderError) || !TRY_NEXT.has(error.code)) throw error;
      failures.push(error);
    }
  }
  throw combineFailures(what, failures);
}
