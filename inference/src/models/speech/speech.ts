/**
 * Speech, as the services see it. An audio file is never one item of work: the parent keeps its state and cuts it into
 * windows, each window is one item for the worker. So the windows of several callers interleave, a cancelled or crashed
 * window loses 30 s of work at most, and memory is bounded however long the audio is.
 */

import type { PcmSource } from '../../media/audio/pcm.js';
import type { VadOptions } from './vad-options.js';

/** As TranscribeOptions of the contract, with its defaults filled in and its ranges checked. */
export interface SpeechOptions {
  readonly language: string | undefined;
  readonly task: 'transcribe' | 'translate';
  readonly timestamps: 'none' | 'segment' | 'word';
  readonly initialPrompt: string | undefined;
  readonly hotwords: string | undefined;
  readonly temperatures: readonly number[];
  readonly beamSize: number;
  /** So many times `beamSize` finished sequences end the search. */
  readonly patience: number;
  /** A sequence's score is its log-probability over its length to this power. */
  readonly lengthPenalty: number;
  readonly compressionRatioThreshold: number;
  readonly logProbThreshold: number;
  readonly noSpeechThreshold: number;
  readonly conditionOnPreviousText: boolean;
  /** Silence around suspicious words that is skipped; absent: none is. */
  readonly hallucinationSilenceSeconds: number | undefined;
  readonly vadFilter: boolean;
  /** What `vadFilter` takes for speech. */
  readonly vadOptions: VadOptions;
  readonly clipStartSeconds: number;
  readonly clipEndSeconds: number | undefined;
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

export type SpeechEvent =
  | { readonly type: 'segment'; readonly segment: SpeechSegment }
  | { readonly type: 'progress'; readonly processedSeconds: number }
  | { readonly type: 'summary'; readonly summary: SpeechSummary };

/** Hands one window to the queue; resolves with the worker's answer. Rejects with the queue's or the item's InferenceError. */
export type SubmitWindow<Window, Result> = (window: Window, signal: AbortSignal) => Promise<Result>;

/**
 * One audio file from start to end; each speech family exports one (`transcribe.ts`). Yields segments as each is final,
 * progress after each window, the summary last. The caller closes the source. Throws LANGUAGE_UNSUPPORTED,
 * TIMESTAMPS_UNSUPPORTED, INVALID_ARGUMENT for options the family does not have.
 */
export type Transcriber<Window, Result> = (
  source: PcmSource,
  options: SpeechOptions,
  submit: SubmitWindow<Window, Result>,
  signal: AbortSignal,
) => AsyncGenerator<SpeechEvent, void, void>;
