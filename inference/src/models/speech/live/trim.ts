import type { HypothesisWord } from './agreement.js';

/** Above this, a window is cut behind its last confirmed sentence. */
const SENTENCE_SECONDS = 8;
/** Above this, it is cut behind its last confirmed word. */
const WORD_SECONDS = 14;
/** Above this, all of it becomes final by one last pass. */
export const MAX_WINDOW_SECONDS = 24;

/** Where a window is cut. */
export interface Cut {
  /** Confirmed words before the cut. */
  readonly words: number;
  /** Seconds from the audio's start. */
  readonly atSeconds: number;
}

/** Returns where to cut a window of `seconds`, so that a pass stays short; undefined: not yet, or no confirmed word to cut at. */
export function cutOf(
  confirmed: readonly HypothesisWord[],
  pending: readonly HypothesisWord[],
  seconds: number,
): Cut | undefined {
  if (seconds < SENTENCE_SECONDS) return undefined;
  const sentence = confirmed.findLastIndex(({ text }) => /[.?!。？！]["'”’)]*$/u.test(text));
  const last = sentence >= 0 || seconds < WORD_SECONDS ? sentence : confirmed.length - 1;
  const word = confirmed[last];
  if (word === undefined) return undefined;
  const next = confirmed[last + 1] ?? pending[0];
  const gap = next === undefined ? 0 : Math.max(0, next.startSeconds - word.endSeconds);
  return { words: last + 1, atSeconds: word.endSeconds + gap / 2 };
}
