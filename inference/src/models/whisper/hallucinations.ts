import type { SpeechSegment, SpeechWord } from '../speech/speech.js';
import { ATTACHED } from './words.js';

/** A word below this probability is suspicious. */
const UNLIKELY = 0.15;
/** Words shorter or longer than this, in seconds, are suspicious. */
const SHORTEST_SECONDS = 0.133;
const LONGEST_SECONDS = 2;
/** Weight of a word that is too short, per missing second. */
const SHORT_WEIGHT = 15;
/** Words checked per segment. */
const WORDS_LOOKED_AT = 8;
const SUSPICIOUS_SCORE = 3;
/** Within this distance of a window's borders, in seconds, the neighbouring audio is unknown. */
const BORDER_SECONDS = 2;
const WINDOW_SECONDS = 30;

/** Context of a window; all values in seconds from the window's start. */
export interface WindowSilence {
  /** Silence around suspicious words that is skipped. */
  readonly thresholdSeconds: number;
  /** How far the window's segments advance the audio. */
  readonly advanceSeconds: number;
  readonly windowSeconds: number;
  /** Where the window begins in the audio. */
  readonly startSeconds: number;
  /** End of the last word before the window; 0 or less. */
  readonly lastSpeechSeconds: number;
  /** End of the audio; Infinity while unknown. */
  readonly endSeconds: number;
}

/**
 * Removes probable hallucinations from a window: suspicious segments (improbable, too short or too long words)
 * surrounded by silence or by other suspicious segments. The next window begins where they began, or after the silence
 * before them. Needs word times. Source: `hallucination_silence_threshold` in faster-whisper's transcribe.py.
 */
export function withoutHallucinations(
  segments: readonly SpeechSegment[],
  window: WindowSilence,
): { readonly segments: readonly SpeechSegment[]; readonly advanceSeconds: number } {
  const { thresholdSeconds, startSeconds, windowSeconds, endSeconds } = window;
  const worded = segments.filter(({ words }) => words.length > 0);
  const [first] = worded;
  if (first !== undefined && isSuspicious(first) && first.startSeconds > thresholdSeconds) {
    return { segments: [], advanceSeconds: first.startSeconds };
  }
  let lastEndSeconds = window.lastSpeechSeconds;
  for (const [index, segment] of worded.entries()) {
    const next = worded[index + 1];
    if (isSuspicious(segment)) {
      const nextStartSeconds = next?.words[0]?.startSeconds ?? windowSeconds;
      const silenceBefore =
        segment.startSeconds - lastEndSeconds > thresholdSeconds ||
        startSeconds + segment.startSeconds < thresholdSeconds ||
        segment.startSeconds < BORDER_SECONDS;
      const silenceBehind =
        nextStartSeconds - segment.endSeconds > thresholdSeconds ||
        (next !== undefined && isSuspicious(next)) ||
        WINDOW_SECONDS - segment.endSeconds < BORDER_SECONDS;
      if (silenceBefore && silenceBehind) {
        const rest = endSeconds - segment.endSeconds < thresholdSeconds;
        return {
          segments: segments.slice(0, segments.indexOf(segment)),
          advanceSeconds: rest ? endSeconds : Math.max(1, segment.startSeconds),
        };
      }
    }
    lastEndSeconds = segment.endSeconds;
  }
  return { segments, advanceSeconds: window.advanceSeconds };
}

function isSuspicious(segment: SpeechSegment): boolean {
  const words = segment.words.filter(({ text }) => !ATTACHED.includes(text)).slice(0, WORDS_LOOKED_AT);
  const score = words.reduce((sum, word) => sum + suspicion(word), 0);
  return score >= SUSPICIOUS_SCORE || score + 0.01 >= words.length;
}

function suspicion({ startSeconds, endSeconds, probability }: SpeechWord): number {
  const seconds = endSeconds - startSeconds;
  return (
    (probability < UNLIKELY ? 1 : 0) +
    Math.max(0, SHORTEST_SECONDS - seconds) * SHORT_WEIGHT +
    Math.max(0, seconds - LONGEST_SECONDS)
  );
}
