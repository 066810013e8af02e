import type { VadResult, VadWindow } from '../silero/window.js';
import type { SpeechOptions, SpeechSegment } from '../speech/speech.js';
import type { DetectedLanguage } from '../speech/transcript.js';

/** One window of an audio file, with all the worker needs to decode it. */
export interface DecodeWindow {
  readonly type: 'decode';
  /** 16 kHz mono, at most 30 s; the worker adds the padding. */
  readonly samples: Float32Array;
  /** ISO 639-1; absent: detected from this window. */
  readonly language: string | undefined;
  readonly options: DecodeOptions;
  /** Tokens of the previous text, at most 223, placed before the window. */
  readonly promptTokens: readonly number[];
  /** Text used in place of `promptTokens` for the audio's first window. */
  readonly promptText: string | undefined;
  /** End of speech, in samples, if all of it is in the window. Absent: it may continue afterwards. */
  readonly speechEnd: number | undefined;
  /** End of the last word before the window, in seconds from its start: 0 or less. */
  readonly lastSpeechSeconds: number;
  /** Seed that makes sampling at temperatures above 0 reproducible. */
  readonly seed: number;
}

/** The options a window's decoding depends on. */
export type DecodeOptions = Pick<
  SpeechOptions,
  | 'task'
  | 'timestamps'
  | 'hotwords'
  | 'temperatures'
  | 'beamSize'
  | 'patience'
  | 'lengthPenalty'
  | 'compressionRatioThreshold'
  | 'logProbThreshold'
  | 'noSpeechThreshold'
  | 'live'
>;

/** Without a language: none was given, and there is no speech to detect it from. */
export interface DecodeResult extends DetectedLanguage {
  readonly type: 'decode';
  /** Times in seconds from the window's start; ids count from 0. Empty when the window contains no speech. */
  readonly segments: readonly SpeechSegment[];
  /** How far the audio is done, in samples from the window's start. Above 0. */
  readonly advanceSamples: number;
  /** The text before this window as tokens: `promptTokens`, or `promptText` encoded; none if it was misleading. */
  readonly tokensBefore: readonly number[];
  /** All tokens of each segment including timestamps, for the next window's prompt. */
  readonly tokens: readonly (readonly number[])[];
  /** At which the text passed, else the last one tried: whether the text may be the next window's prompt. */
  readonly temperature: number;
}

export type WhisperWindow = DecodeWindow | VadWindow;
export type WhisperResult = DecodeResult | VadResult;
