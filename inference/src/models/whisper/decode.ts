import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { SpeechSegment } from '../speech/speech.js';
import { DecodingTask, type Look, type WhisperParts, type WindowContext } from './decoding-task.js';
import { type Attempt, isSilence, isSilenceAfterAll, leastBad, mayHoldNoSpeech, needsFallback } from './fallback.js';
import { mergedSilence, WINDOW_SAMPLES } from './length.js';
import { holdsNothing } from './loudness.js';
import { encodeText, maxPromptTokens } from './prompt.js';
import { splitAtTimestamps } from './segments.js';
import type { DecodeResult, DecodeWindow } from './window.js';

/** Decodes one window. Throws CANCELLED when nobody waits any more. */
export async function decodeWindow(
  parts: WhisperParts,
  window: DecodeWindow,
  context: WindowContext,
): Promise<DecodeResult> {
  if (holdsNothing(window.samples)) return noSpeech(parts, window);
  const merged = parts.mergesSilence ? mergedSilence(window) : undefined;
  const tokensBefore = promptOf(parts, window);
  const looks = (overrides: Partial<Look> = {}) =>
    DecodingTask.open(parts, window, tokensBefore, { layout: undefined, fill: 'silence', ...overrides }, context);
  let opened = await looks({ layout: merged });
  const attempts: Attempt[] = [];
  let beforeSilence: Attempt | undefined;
  let passed: Attempt | undefined;
  for (const [index, temperature] of window.options.temperatures.entries()) {
    let attempt = await opened.attempt(temperature, index, merged !== undefined && index === 0);
    // What was decoded from merged silence and does not convince is decoded again from all of it.
    if (index === 0 && merged !== undefined && (attempt.doubtful || needsFallback(attempt, window.options))) {
      opened = await looks();
      attempt = await opened.attempt(temperature, index, false);
    }
    // Of music before a silence the model is half sure to hear "like and subscribe"; of music before a hiss it is not. What may
    // be made up must be heard there as well, and where it does not convince what is heard there is what counts from then on.
    if (index === 0 && endsInSilence(window) && mayHoldNoSpeech(attempt, window.options)) {
      const beside = await looks({ fill: 'zeros' });
      const again = await beside.attempt(temperature, index, false);
      if (isSilence(again, window.options) || needsFallback(attempt, window.options)) {
        beforeSilence = attempt;
        opened = beside;
        attempt = again;
      }
    }
    attempts.push(attempt);
    if (!needsFallback(attempt, window.options)) {
      passed = attempt;
      break;
    }
  }
  const best = passed ?? leastBad(attempts, window.options);
  const temperature = passed?.temperature ?? window.options.temperatures.at(-1) ?? 0;
  const silent = isSilence(best, window.options) || isSilenceAfterAll(attempts, beforeSilence, window.options);
  const split = silent
    ? { segments: [], advanceSamples: window.samples.length, goesOn: false }
    : splitAtTimestamps(best.tokens, parts.vocabulary.special.firstTimestamp, window.samples.length);
  const segments = split.segments.flatMap((segment) => {
    const text = parts.vocabulary.decode(segment.tokens);
    if (segment.startSeconds >= segment.endSeconds || text.trim() === '') return [];
    const textTokens = segment.tokens.filter((token) => parts.vocabulary.isText(token));
    return [{ ...segment, text, textTokens }];
  });
  const worded = window.options.timestamps === 'word' ? await opened.timeWords(segments) : undefined;
  const windowSeconds = window.samples.length / SPEECH_SAMPLE_RATE_HZ;
  const lastWordSeconds = worded?.at(-1)?.words.at(-1)?.endSeconds ?? 0;
  const advanceSamples =
    split.goesOn && lastWordSeconds > 0
      ? Math.min(window.samples.length, Math.round(lastWordSeconds * SPEECH_SAMPLE_RATE_HZ))
      : split.advanceSamples;
  return {
    type: 'decode',
    language: opened.language,
    languageProbability: opened.languageProbability,
    segments: segments.map((segment, id): SpeechSegment => {
      const { startSeconds, endSeconds, words } = worded?.[id] ?? { ...segment, words: [] };
      return {
        id,
        startSeconds,
        endSeconds: Math.min(endSeconds, windowSeconds),
        text: segment.text,
        tokens: segment.textTokens,
        avgLogProb: best.avgLogProb,
        compressionRatio: best.compressionRatio,
        noSpeechProb: best.noSpeechProb,
        temperature: best.temperature,
        words: words.map(({ tokens: _, ...word }) => word),
      };
    }),
    // A window that ends where it began would never end.
    advanceSamples: advanceSamples > 0 ? advanceSamples : window.samples.length,
    tokensBefore,
    tokens: segments.map(({ tokens }) => tokens),
    temperature,
  };
}

/** Silence that is filled up behind a window of less than 30 s changes what is heard in it; 1 s of it hardly does. */
const MIN_FILLED_SAMPLES = SPEECH_SAMPLE_RATE_HZ;

function endsInSilence({ samples }: DecodeWindow): boolean {
  return samples.length <= WINDOW_SAMPLES - MIN_FILLED_SAMPLES;
}

function promptOf(parts: WhisperParts, window: DecodeWindow): readonly number[] {
  if (window.promptText === undefined) return window.promptTokens;
  return encodeText(parts.vocabulary, window.promptText).slice(-maxPromptTokens(parts.config));
}

/** What is answered without a run. */
function noSpeech(parts: WhisperParts, window: DecodeWindow): DecodeResult {
  return {
    type: 'decode',
    language: window.language,
    languageProbability: window.language === undefined ? 0 : 1,
    segments: [],
    advanceSamples: window.samples.length,
    tokensBefore: promptOf(parts, window),
    tokens: [],
    temperature: window.options.temperatures[0] ?? 0,
  };
}
