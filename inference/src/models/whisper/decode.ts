import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { ItemContext } from '../model.js';
import type { SpeechSegment } from '../speech/speech.js';
import { givenLanguage } from '../speech/transcript.js';
import { DecodingTask, type EncoderInput, type WhisperParts } from './decoding-task.js';
import {
  allSuggestSilence,
  bestOfFailed,
  corrects,
  type DecodingResult,
  isSilence,
  mayBeMisled,
  mayHoldNoSpeech,
  needsFallback,
} from './fallback.js';
import { type Layout, mergedSilence, WINDOW_SAMPLES } from './length.js';
import { LEFT_OVER_INDEX } from './logits-processors.js';
import { holdsNothing } from './loudness.js';
import { leadingSilence } from './pauses.js';
import { encodeText, maxPromptTokens } from './prompt.js';
import {
  type SplitWindow,
  splitAtTimestamps,
  TIMESTAMP_SAMPLES,
  type TokenSegment,
  untilRepetition,
} from './segments.js';
import type { DecodeResult, DecodeWindow } from './window.js';
import type { WordedSegment } from './words.js';

/** What was decoded of a window, and how. */
interface ChosenResult {
  readonly task: DecodingTask;
  readonly best: DecodingResult;
  /** Whether the window contains no speech, whatever was decoded. */
  readonly silent: boolean;
  /** The tokens before the window that `best` was decoded with. */
  readonly before: readonly number[];
  /** That of `best` if it passed, else the last one tried. */
  readonly temperature: number;
}

/** Opens a task on the window with an input other than the usual one: all positions, silence behind the audio, the text before it. */
type OpenTask = (input?: Partial<EncoderInput>, text?: readonly number[]) => Promise<DecodingTask>;

/** The result at the first temperature, and the task that gave it. */
interface FirstResult {
  readonly task: DecodingTask;
  readonly result: DecodingResult;
  /** The result with padded silence, where zero padding has replaced it. */
  readonly beforeSilence?: DecodingResult;
}

async function decodeFirst(
  window: DecodeWindow,
  open: OpenTask,
  merged: Layout | undefined,
  hasTextBefore: boolean,
): Promise<FirstResult> {
  const { options } = window;
  const temperature = options.temperatures[0] ?? 0;
  let task = await open({ layout: merged });
  let result = await task.decode(temperature, 0, merged !== undefined);
  // Text before the window that has its words can make the model leave them out, with merged silence only, and without a close rival.
  const isUnsure = hasTextBefore && result.avgLogProb < options.logProbThreshold / 2;
  // Fall back from the merged silence to all positions before raising the temperature.
  if (merged !== undefined && (result.doubtful || isUnsure || needsFallback(result, options))) {
    task = await open();
    result = await task.decode(temperature, 0, false);
  }
  // Music followed by padded silence makes the model hallucinate "like and subscribe"; music followed by zero padding
  // does not. Suspicious text must be confirmed with zero padding; if it is not, the result with zero padding counts
  // from here on.
  if (!endsInSilence(window) || !mayHoldNoSpeech(result, options)) return { task, result };
  const zeroPadded = await open({ fill: 'zeros' });
  const again = await zeroPadded.decode(temperature, 0, false);
  const isConfirmed = !isSilence(again, options) && !needsFallback(result, options);
  return isConfirmed ? { task, result } : { task: zeroPadded, result: again, beforeSilence: result };
}

/** Decodes at rising temperatures until a result passes, and without the text before the window where that was repeated. */
async function chooseResult(parts: WhisperParts, window: DecodeWindow, context: ItemContext): Promise<ChosenResult> {
  const { options } = window;
  const [firstTemperature = 0, ...higher] = options.temperatures;
  const before = promptOf(parts, window);
  const open: OpenTask = (input = {}, text = before) =>
    DecodingTask.open(parts, window, text, { layout: undefined, fill: 'silence', ...input }, context);
  const merged = parts.mergesSilence ? mergedSilence(window) : undefined;
  const hasTextBefore = before.length > 0 || options.hotwords !== undefined;
  const { task, result: first, beforeSilence } = await decodeFirst(window, open, merged, hasTextBefore);
  const results = [first];
  let last = first;
  for (const [index, temperature] of higher.entries()) {
    if (!needsFallback(last, options)) break;
    last = await task.decode(temperature, index + 1, false);
    results.push(last);
  }
  const passed = needsFallback(last, options) ? undefined : last;
  const best = passed ?? bestOfFailed(results, options);
  const silent = isSilence(best, options) || allSuggestSilence(results, beforeSilence, options);
  // The reference returns the repetition.
  if (before.length > 0 && mayBeMisled(first, passed, silent, options)) {
    const alone = await open({}, []);
    const again = await alone.decode(firstTemperature, results.length, false);
    if (corrects(again, silent ? undefined : passed, options)) {
      return { task: alone, best: again, silent: false, before: [], temperature: again.temperature };
    }
  }
  const temperature = passed?.temperature ?? options.temperatures.at(-1) ?? 0;
  return { task, best, silent, before, temperature };
}

/** Decodes one window. */
export async function decodeWindow(
  parts: WhisperParts,
  window: DecodeWindow,
  context: ItemContext,
): Promise<DecodeResult> {
  if (holdsNothing(window.samples)) return noSpeech(parts, window);
  const { task, best, silent, before, temperature } = await chooseResult(parts, window, context);
  const split = silent
    ? { segments: [], advanceSamples: withoutSpeech(window.samples), goesOn: false }
    : splitTokens(best.tokens, parts.vocabulary.special.firstTimestamp, window);
  const texts = textSegments(parts, split.segments);
  const worded = window.options.timestamps === 'word' ? await task.timeWords(texts) : undefined;
  const lastWordSeconds = worded?.flatMap(({ words }) => words).at(-1)?.endSeconds ?? 0;
  const advanceSamples =
    split.goesOn && lastWordSeconds > 0
      ? Math.min(window.samples.length, Math.round(lastWordSeconds * SPEECH_SAMPLE_RATE_HZ))
      : split.advanceSamples;
  const segments = timedSegments(window, texts, worded);
  // In music or noise a language may be as sure as it is wrong, and all that follows would be read as that language.
  const { language, languageProbability } = silent ? givenLanguage(window.language) : task.detected;
  return {
    type: 'decode',
    language,
    languageProbability,
    segments: segments.map(
      ({ startSeconds, endSeconds, text, textTokens, words }, id): SpeechSegment => ({
        id,
        startSeconds,
        endSeconds,
        text,
        tokens: textTokens,
        avgLogProb: best.avgLogProb,
        compressionRatio: best.compressionRatio,
        noSpeechProb: best.noSpeechProb,
        temperature: best.temperature,
        words: words.map(({ tokens: _, ...word }) => word),
      }),
    ),
    // A window that does not advance would never end.
    advanceSamples: advanceSamples > 0 ? advanceSamples : window.samples.length,
    tokensBefore: before,
    tokens: segments.map(({ tokens }) => tokens),
    temperature,
  };
}

/** A segment that has text, before its words are timed. */
interface TextSegment extends TokenSegment {
  readonly text: string;
  readonly textTokens: readonly number[];
}

function textSegments({ vocabulary }: WhisperParts, segments: readonly TokenSegment[]): readonly TextSegment[] {
  return segments.flatMap((segment) => {
    const text = vocabulary.decode(segment.tokens);
    if (segment.startSeconds >= segment.endSeconds || text.trim() === '') return [];
    return [{ ...segment, text, textTokens: segment.tokens.filter((token) => vocabulary.isText(token)) }];
  });
}

/** Segments within the window, with the times of their words if these are known. */
function timedSegments(
  window: DecodeWindow,
  texts: readonly TextSegment[],
  worded: readonly WordedSegment[] | undefined,
): readonly (TextSegment & WordedSegment)[] {
  const windowSeconds = window.samples.length / SPEECH_SAMPLE_RATE_HZ;
  return texts.flatMap((segment, index) => {
    const { startSeconds, endSeconds, words } = worded?.[index] ?? {
      ...segment,
      startSeconds: startOfSound(segment, window),
      words: [],
    };
    const timed = { ...segment, startSeconds, endSeconds: Math.min(endSeconds, windowSeconds), words };
    // The words' times can leave no length: such text was made up, at the end of the audio.
    return timed.startSeconds < timed.endSeconds ? [timed] : [];
  });
}

/** Padding a window of less than 30 s with silence changes its transcript; 1 s of real silence hardly does. */
const MIN_FILLED_SAMPLES = SPEECH_SAMPLE_RATE_HZ;

function endsInSilence({ samples }: DecodeWindow): boolean {
  return samples.length <= WINDOW_SAMPLES - MIN_FILLED_SAMPLES;
}

function promptOf(parts: WhisperParts, window: DecodeWindow): readonly number[] {
  if (window.promptText === undefined) return window.promptTokens;
  return encodeText(parts.vocabulary, window.promptText).slice(-maxPromptTokens(parts.config));
}

function splitTokens(
  tokens: readonly number[],
  firstTimestamp: number,
  { samples, speechEnd, options }: DecodeWindow,
): SplitWindow {
  const split = splitAtTimestamps(tokens, firstTimestamp, samples.length);
  // A pass over live speech decodes its window once, and what is left of it would come late.
  if (speechEnd === undefined || options.live) return split;
  const mustGoOnSeconds = (speechEnd - LEFT_OVER_INDEX * TIMESTAMP_SAMPLES) / SPEECH_SAMPLE_RATE_HZ;
  return untilRepetition(split, firstTimestamp, mustGoOnSeconds);
}

/**
 * How far a window is done in which no speech was found: to half a second before its first sound, if silence is before it, or else to its
 * end. A sentence may begin at the end of half a minute of silence, and be recognized in a window that has more of it.
 */
function withoutSpeech(samples: Float32Array): number {
  return leadingSilence(samples) || samples.length;
}

/**
 * The start of a segment whose words have no times. Whisper gives text behind silence the time at which the silence begins, so that subtitles
 * would be shown long before they are said.
 */
function startOfSound({ startSeconds, endSeconds }: TokenSegment, { samples, options }: DecodeWindow): number {
  if (options.timestamps === 'none') return startSeconds;
  const [start, end] = [startSeconds, endSeconds].map((seconds) => Math.round(seconds * SPEECH_SAMPLE_RATE_HZ));
  return startSeconds + leadingSilence(samples.subarray(start, end), 0) / SPEECH_SAMPLE_RATE_HZ;
}

/** The result for a window that needs no run. */
function noSpeech(parts: WhisperParts, window: DecodeWindow): DecodeResult {
  return {
    type: 'decode',
    ...givenLanguage(window.language),
    segments: [],
    advanceSamples: withoutSpeech(window.samples),
    tokensBefore: promptOf(parts, window),
    tokens: [],
    temperature: window.options.temperatures[0] ?? 0,
  };
}
