import type { VadResult, VadWindow } from '../silero/window.js';
import type { SpeechOptions, SpeechSegment } from '../speech/speech.js';

/** One window of an audio file, all the worker needs to decode it. */
export interface DecodeWindow {
  readonly type: 'decode';
  /** 16 kHz mono, at most 30 s; the worker fills up the rest. */
  readonly samples: Float32Array;
  /** ISO 639-1; absent: detected from this window. */
  readonly language: string | undefined;
  readonly options: DecodeOptions;
  /** Tokens of the text before, at most 223; they stand in front of the window. */
  readonly promptTokens: readonly number[];
  /** Text that stands where `promptTokens` would, for the audio's first window. */
  readonly promptText: string | undefined;
  /** Where speech ends, in samples, when all of it is in the window; absent: it may go on behind it. */
  readonly speechEnd: number | undefined;
  /** Makes sampling at a temperature above 0 the same every time. */
  readonly seed: number;
}

/** The part of the audio's options that a window's decoding depends on. */
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
>;

export interface DecodeResult {
  readonly type: 'decode';
  /** Undefined: neither given nor to be told, for nothing was heard. */
  readonly language: string | undefined;
  /** 1 when the language was given. */
  readonly languageProbability: number;
  /** Times in seconds from the window's start; ids count from 0. Empty when the window holds no speech. */
  readonly segments: readonly SpeechSegment[];
  /** How far the audio is done, in samples from the window's start. Above 0. */
  readonly advanceSamples: number;
  /** The text before this window as tokens: `promptTokens`, or `promptText` made into tokens. */
  readonly tokensBefore: readonly number[];
  /** Every token of each segment, times included: what the next window has before it. */
  readonly tokens: readonly (readonly number[])[];
  readonly temperature: number;
}

export type WhisperWindow = DecodeWindow | VadWindow;
export type WhisperResult = DecodeResult | VadResult;
