import { codeOf } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import { noThread } from '../../start-thread.js';

/** System errors of a library that cannot be loaded now. */
const EXHAUSTED: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'];

/**
 * Converts a decoder's error for the caller. Other errors than InferenceError come from a library (a TypeError in its code, an
 * error number from C) and do not help a caller: they become the cause, for the log.
 */
export function undecodable(error: unknown): InferenceError {
  if (error instanceof InferenceError) return error;
  if (EXHAUSTED.includes(codeOf(error))) return noThread(error);
  return audioUnreadable(
    'The audio could not be decoded. It may be damaged, truncated or of an unsupported kind; a player or FFmpeg can tell which.',
    error,
  );
}

/** An error of the caller's audio; `cause`: of a library, for the log. */
export function audioUnreadable(message: string, cause?: unknown): InferenceError {
  return new InferenceError('AUDIO_UNREADABLE', message, { cause });
}

/** Whether a decoder refused its content by itself. What a library that threw left behind is unknown: it is the cause of its error. */
export function isRefusal(error: unknown): boolean {
  return error instanceof InferenceError && error.cause === undefined;
}

/** The error of a header that cannot be used; `name` is the format's or codec's in messages. */
export function unusableHeader(name: string, reason: string): InferenceError {
  return audioUnreadable(`Unusable ${name} header: ${reason}.`);
}
