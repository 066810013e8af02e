/**
 * The interface of speech families. An audio file is never one item of work: the parent process keeps its state and cuts
 * it into windows, and each window is one item for the worker. Windows of several callers interleave, a cancelled or
 * crashed window loses at most 30 s of work, and memory is bounded whatever the length of the audio.
 */

import type { PcmSource } from '../../media/audio/pcm.js';
import type { VadOptions } from './vad-options.js';

/** TranscribeOptions of the contract, with defaults applied and ranges checked. */
export interface SpeechOptions {
  readonly language: string | undefined;
  readonly task: 'transcribe' | 'translate';
  readonly timestamps: 'none' | 'segment' | 'word';
  readonly initialPrompt: string | undefined;
  readonly hotwords: string | undefined;
  readonly temperatures: readonly number[];
  readonly beamSize: number;
  /** The search ends after `patience` x `beamSize` finished sequences. */
  readonly patience: number;
  /** Exponent of the length that divides a sequence's log-probability. */
  readonly lengthPenalty: number;
  readonly compressionRatioThreshold: number;
  readonly logProbThreshold: number;
  readonly noSpeechThreshold: number;
  readonly conditionOnPreviousText: boolean;
  /** Silence around suspicious words that is skipped. Absent: no such check. */
  readonly hallucinationSilenceSeconds: number | undefined;
  readonly vadFilter: boolean;
  /** Options of `vadFilter`. */
  readonly vadOptions: VadOptions;
  readonly clipStartSeconds: number;
  readonly clipEndSeconds: number | undefined;
  /** Also yield partial results, and finals as soon as two passes agree (see live/). */
  readonly live: boolean;
}

export interface SpeechWord {
  readonly text: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly probability: number;
}

export interface SpeechSegment {
  readonly id: number;
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly text: string;
  readonly tokens: readonly number[];
  readonly avgLogProb: number;
  readonly compressionRatio: number;
  readonly noSpeechProb: number;
  readonly temperature: number;
  readonly words: readonly SpeechWord[];
}

export interface SpeechSummary {
  readonly language: string;
  readonly languageProbability: number;
  readonly durationSeconds: number;
  readonly speechSeconds: number;
}

/** The words at the end of live speech that are not final yet. */
export interface SpeechPartial {
  readonly text: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** `Summary`: what the last event carries. */
export type SpeechEvent<Summary = SpeechSummary> =
  | { readonly type: 'segment'; readonly segment: SpeechSegment }
  | { readonly type: 'partial'; readonly partial: SpeechPartial }
  | { readonly type: 'progress'; readonly processedSeconds: number }
  | { readonly type: 'summary'; readonly summary: Summary };

/** Submits one window to the queue; resolves with the worker's result. Rejects with an InferenceError of the queue or the item. */
export type SubmitWindow<Window, Result> = (window: Window, signal: AbortSignal) => Promise<Result>;

/**
 * Transcribes one audio file; each speech family exports one (`transcribe.ts`). Yields segments once final, progress after
 * each window, and the summary last. The caller closes the source. Throws LANGUAGE_UNSUPPORTED, TIMESTAMPS_UNSUPPORTED,
 * or INVALID_ARGUMENT for options the family does not support.
 */
export type Transcriber<Window, Result> = (
  source: PcmSource,
  options: SpeechOptions,
  submit: SubmitWindow<Window, Result>,
  signal: AbortSignal,
) => AsyncGenerator<SpeechEvent, void, void>;
