import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/** Seconds per timestamp step. */
const TIMESTAMP_SECONDS = 0.02;
/** Timestamps of a model, 0.00 s to 30.00 s: tokens that a fine-tune adds may follow them. */
export const TIMESTAMP_COUNT = 1501;

/** Whether a token is one of the model's timestamps, the first of which is `firstTimestamp`. */
export function isTimestamp(token: number | undefined, firstTimestamp: number): token is number {
  return token !== undefined && token >= firstTimestamp && token < firstTimestamp + TIMESTAMP_COUNT;
}
/** Samples per timestamp step. */
export const TIMESTAMP_SAMPLES = TIMESTAMP_SECONDS * SPEECH_SAMPLE_RATE_HZ;

/** A span of a window's tokens between two timestamps, in seconds from the window's start. */
export interface TokenSegment {
  readonly startSeconds: number;
  readonly endSeconds: number;
  /** Timestamps included. */
  readonly tokens: readonly number[];
}

export interface SplitWindow {
  readonly segments: readonly TokenSegment[];
  /** How far the audio is done, from the window's start. */
  readonly advanceSamples: number;
  /** The text may continue after the last segment, so the next window begins where its last word ends, if words have times. */
  readonly goesOn: boolean;
}

/**
 * Splits a window's tokens at timestamp pairs and finds where the next window begins: at the last pair, because what
 * follows may continue after the window; or at the window's end, if the text ends with a single timestamp or has no
 * pair. Source: the loop of OpenAI's whisper/transcribe.py.
 */
export function splitAtTimestamps(
  tokens: readonly number[],
  firstTimestamp: number,
  windowSamples: number,
): SplitWindow {
  const isTime = (token: number | undefined) => isTimestamp(token, firstTimestamp);
  const seconds = (token: number | undefined) => ((token ?? firstTimestamp) - firstTimestamp) * TIMESTAMP_SECONDS;
  const endsWithSingleTime = tokens.length >= 2 && !isTime(tokens.at(-2)) && isTime(tokens.at(-1));
  const cuts = tokens.flatMap((token, index) => (isTime(token) && isTime(tokens[index - 1]) ? [index] : []));

  if (cuts.length === 0) {
    const lastTime = tokens.findLast(isTime);
    const timed = lastTime !== undefined && lastTime !== firstTimestamp;
    const endSeconds = timed ? seconds(lastTime) : windowSamples / SPEECH_SAMPLE_RATE_HZ;
    const segments = [{ startSeconds: 0, endSeconds, tokens }];
    return { segments, advanceSamples: windowSamples, goesOn: !endsWithSingleTime };
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
  const advanceSamples = Math.round(seconds(tokens[from - 1]) * SPEECH_SAMPLE_RATE_HZ);
  return { segments, advanceSamples: Math.min(windowSamples, advanceSamples), goesOn: true };
}

/**
 * In a chunk, a text that must not end yet may repeat its last sentence until the sound ends, as when music follows. Then the window is done
 * where that sentence first begins, and what is left of the chunk is decoded on its own, which gives what is really said as often as it is
 * said. `mustGoOnSeconds`: until then the text must not end.
 */
export function untilRepetition(split: SplitWindow, firstTimestamp: number, mustGoOnSeconds: number): SplitWindow {
  const { segments } = split;
  const texts = segments.map(({ tokens }) => tokens.filter((token) => !isTimestamp(token, firstTimestamp)).join());
  const index = segments.findIndex(
    ({ endSeconds }, at) =>
      at > 0 && endSeconds < mustGoOnSeconds && texts[at] === texts[at + 1] && texts[at] !== texts[at - 1],
  );
  const repeated = segments[index];
  if (repeated === undefined) return split;
  const advanceSamples = Math.round(repeated.startSeconds * SPEECH_SAMPLE_RATE_HZ);
  return { segments: segments.slice(0, index), advanceSamples, goesOn: true };
}
