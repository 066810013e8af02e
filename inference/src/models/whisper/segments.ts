import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/** Seconds between two time tokens. */
export const TIMESTAMP_SECONDS = 0.02;
/** Samples between them. */
export const TIMESTAMP_SAMPLES = TIMESTAMP_SECONDS * SPEECH_SAMPLE_RATE_HZ;

/** A stretch of a window's tokens with the times around it, in seconds from the window's start. */
export interface TokenSegment {
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Times included. */
  readonly tokens: readonly number[];
}

export interface SplitWindow {
  readonly segments: readonly TokenSegment[];
  /** How far the audio is done, from the window's start. */
  readonly advanceSamples: number;
  /** The text goes on behind the last segment, so where that one really ends the next window begins. */
  readonly goesOn: boolean;
}

/**
 * Cuts a window's tokens at their pairs of times, and says where the next window begins: at the last pair, for what stands
 * behind it may go on after the window's end, or at the end when the text ends there with a single time or has no pair.
 * Source: the loop of OpenAI's whisper/transcribe.py.
 */
export function splitAtTimestamps(
  tokens: readonly number[],
  firstTimestamp: number,
  windowSamples: number,
): SplitWindow {
  const isTime = (token: number | undefined) => token !== undefined && token >= firstTimestamp;
  const seconds = (token: number | undefined) => ((token ?? firstTimestamp) - firstTimestamp) * TIMESTAMP_SECONDS;
  const endsWithSingleTime = tokens.length >= 2 && !isTime(tokens.at(-2)) && isTime(tokens.at(-1));
  const cuts = tokens.flatMap((token, index) =>
    isTime(token) && index > 0 && isTime(tokens[index - 1]) ? [index] : [],
  );

  if (cuts.length === 0) {
    const lastTime = tokens.findLast(isTime);
    const timed = lastTime !== undefined && lastTime !== firstTimestamp;
    const endSeconds = timed ? seconds(lastTime) : windowSamples / SPEECH_SAMPLE_RATE_HZ;
    return { segments: [{ startSeconds: 0, endSeconds, tokens }], advanceSamples: windowSamples, goesOn: false };
  }

  if (endsWithSingleTime) cuts.push(tokens.length);
  const segments: TokenSegment[] = [];
  let from = 0;
  for (const cut of cuts) {
    const part = tokens.slice(from, cut);
    segments.push({ startSeconds: seconds(part[0]), endSeconds: seconds(part.at(-1)), tokens: part });
    from = cut;
  }
  if (endsWithSingleTime) return { segments, advanceSamples: windowSamples, goesOn: false };
  const lastTime = (tokens[from - 1] ?? firstTimestamp) - firstTimestamp;
  return {
    segments,
    advanceSamples: Math.min(windowSamples, Math.round(lastTime * TIMESTAMP_SAMPLES)),
    goesOn: true,
  };
}
