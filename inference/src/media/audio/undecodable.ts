import { InferenceError } from '../../errors.js';

/**
 * Whatever a decoder threw, as its caller may see it. What we say ourselves is an InferenceError; anything else is a library's
 * (a TypeError of its code, a number of its C), which helps nobody outside: it is kept as the cause, for the log.
 */
export function undecodable(error: unknown): InferenceError {
  if (error instanceof InferenceError) return error;
  return new InferenceError(
    'AUDIO_UNREADABLE',
    'The audio could not be decoded. It may be damaged, cut off, or of a kind that is not read; a player or FFmpeg tells which.',
    { cause: error },
  );
}
