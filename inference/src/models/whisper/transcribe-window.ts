import { InferenceError } from '../../errors.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { onSampleGrid } from '../speech/sample-grid.js';
import type { SpeechOptions, SpeechSegment, SubmitWindow } from '../speech/speech.js';
import type { DetectedLanguage } from '../speech/transcript.js';
import { withoutHallucinations } from './hallucinations.js';
import type { DecodeResult, DecodeWindow, WhisperResult, WhisperWindow } from './window.js';

/** A remainder shorter than this (0.6 s) is not decoded. */
export const MIN_REST_SAMPLES = 0.6 * SPEECH_SAMPLE_RATE_HZ;

/** What all windows of an audio file share. */
export interface Transcription {
  readonly options: SpeechOptions;
  readonly submit: SubmitWindow<WhisperWindow, WhisperResult>;
  readonly signal: AbortSignal;
}

/** A window and its position in the audio. */
export interface PlacedWindow
  extends Pick<DecodeWindow, 'samples' | 'language' | 'promptTokens' | 'promptText' | 'speechEnd' | 'seed'> {
  readonly startSeconds: number;
  /** End of the last word before the window. */
  readonly lastSpeechSeconds: number;
  /** End of the audio, from its start; Infinity while unknown. */
  readonly endSeconds: number;
}

/** A transcribed window, or a chunk of several with the last three fields of its last window. */
export interface TranscribedWindow extends DetectedLanguage {
  /** Times from the audio's start; ids count from 0. */
  readonly segments: readonly SpeechSegment[];
  /** How far the audio is done, in samples from its start. Above 0, possibly past its end. */
  readonly advanceSamples: number;
  /** The text before the next window: the text before this one, and its own. */
  readonly tokens: readonly number[];
  readonly temperature: number;
  readonly lastSpeechSeconds: number;
}

/** Decodes one window and converts its times to the audio's. */
export async function transcribeWindow(transcription: Transcription, window: PlacedWindow): Promise<TranscribedWindow> {
  const { options, submit, signal } = transcription;
  const { startSeconds, endSeconds, lastSpeechSeconds, ...rest } = window;
  const result = decoded(
    await submit({ type: 'decode', options, ...rest, lastSpeechSeconds: lastSpeechSeconds - startSeconds }, signal),
  );
  const { segments, advanceSeconds } = guarded(result, window, options);
  const words = segments.findLast((segment) => segment.words.length > 0)?.words;
  const lastWordSeconds = words?.at(-1)?.endSeconds;
  return {
    language: result.language,
    languageProbability: result.languageProbability,
    segments: segments.map((segment) => shifted(segment, startSeconds)),
    advanceSamples: Math.max(1, Math.round(advanceSeconds * SPEECH_SAMPLE_RATE_HZ)),
    tokens: [...result.tokensBefore, ...result.tokens.slice(0, segments.length).flat()],
    temperature: result.temperature,
    lastSpeechSeconds: lastWordSeconds === undefined ? lastSpeechSeconds : onSampleGrid(startSeconds + lastWordSeconds),
  };
}

function guarded(
  result: DecodeResult,
  window: PlacedWindow,
  { hallucinationSilenceSeconds }: SpeechOptions,
): ReturnType<typeof withoutHallucinations> {
  const advanceSeconds = result.advanceSamples / SPEECH_SAMPLE_RATE_HZ;
  if (hallucinationSilenceSeconds === undefined) return { segments: result.segments, advanceSeconds };
  const { startSeconds } = window;
  return withoutHallucinations(result.segments, {
    thresholdSeconds: hallucinationSilenceSeconds,
    advanceSeconds,
    windowSeconds: window.samples.length / SPEECH_SAMPLE_RATE_HZ,
    startSeconds,
    lastSpeechSeconds: window.lastSpeechSeconds - startSeconds,
    endSeconds: window.endSeconds - startSeconds,
  });
}

function decoded(answer: WhisperResult): DecodeResult {
  if (answer.type !== 'decode') throw new InferenceError('INTERNAL', 'Expected a decoded window, got voice activity.');
  return answer;
}

/** Shifts a segment's times from its window to the audio. */
function shifted(segment: SpeechSegment, seconds: number): SpeechSegment {
  const shift = <Span extends { readonly startSeconds: number; readonly endSeconds: number }>(span: Span): Span => ({
    ...span,
    startSeconds: onSampleGrid(seconds + span.startSeconds),
    endSeconds: onSampleGrid(seconds + span.endSeconds),
  });
  return { ...shift(segment), words: segment.words.map(shift) };
}
