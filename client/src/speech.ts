import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { type Model, provenance, type Timing } from './answers.js';
import type { CallOptions } from './options.js';
import { type Plain, plain } from './plain.js';
import type { Caller } from './transport/caller.js';

/** Samples without a container. */
export interface RawAudio {
  /** Little endian, channels interleaved. */
  readonly encoding: 'pcm_s16le' | 'pcm_f32le';
  /** Samples a second and channel, 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32; they are mixed to one. */
  readonly channelCount: number;
}

/** What the voice activity detector takes for speech; names and defaults are those of faster-whisper's VadOptions. */
export interface VadParameters {
  /** From this probability on it is speech, 0 to 1. Default 0.5. */
  readonly threshold?: number;
  /** Below this probability speech ends, 0 to `threshold`. Default: `threshold` less 0.15. */
  readonly negThreshold?: number;
  /** Speech that is not longer is left out, 0 to 30,000. Default 0. */
  readonly minSpeechDurationMs?: number;
  /** Longer speech is cut in its last short silence, seconds, 1 to 300. Default: never. */
  readonly maxSpeechDurationS?: number;
  /** Shorter silences belong to the speech, 0 to 30,000. Default 2000. */
  readonly minSilenceDurationMs?: number;
  /** Kept before and after speech, 0 to 30,000. Default 400. */
  readonly speechPadMs?: number;
}

/** Settings of Transcribe; names and defaults are those of the reference implementation (Whisper, faster-whisper). */
export interface TranscribeOptions extends CallOptions {
  /** Given only when the audio has no container. */
  readonly raw?: RawAudio;
  /** ISO 639-1, such as `en`. Default: detected. */
  readonly language?: string;
  /** `translate` writes English whatever is spoken. Default `transcribe`. */
  readonly task?: 'transcribe' | 'translate';
  /** How finely times are given. Default `segment`. */
  readonly timestamps?: 'none' | 'segment' | 'word';
  /** Text that stands before the first window, to set names, spelling and style. */
  readonly initialPrompt?: string;
  /** Words to expect. */
  readonly hotwords?: string;
  /** Tried in order until a window passes the thresholds. Default 0, 0.2, 0.4, 0.6, 0.8, 1. */
  readonly temperatures?: readonly number[];
  /** Hypotheses kept in the search, 1 to 8. Default 1. */
  readonly beamSize?: number;
  /** Beam search ends when so many times `beamSize` hypotheses have ended, 0.1 to 10. Default 1. */
  readonly patience?: number;
  /** Beam search ranks hypotheses by their log-probability over their length to this power, 0 to 2. Default 1. */
  readonly lengthPenalty?: number;
  /** Default 2.4. */
  readonly compressionRatioThreshold?: number;
  /** Default -1. */
  readonly logProbThreshold?: number;
  /** 0 to 1, default 0.6. */
  readonly noSpeechThreshold?: number;
  /** Give each window the text before it as a prompt; false is faster, several windows being decoded at a time. Default true. */
  readonly conditionOnPreviousText?: boolean;
  /** Leave out what a voice activity detector finds without speech. Default false. */
  readonly vadFilter?: boolean;
  /** How `vadFilter` tells speech from silence; not without it. */
  readonly vadParameters?: VadParameters;
  /** Skip silences longer than so many seconds around words that look made up; with timestamps `word`. Default: none. */
  readonly hallucinationSilenceThresholdSeconds?: number;
  /** Which of the audio tracks, from 0. Default: the one marked as default if it can be decoded, else the first that can. */
  readonly audioTrack?: number;
  /** Seconds from the audio's start. Default 0. */
  readonly clipStartSeconds?: number;
  /** Seconds from the audio's start. Default: its end. */
  readonly clipEndSeconds?: number;
}

/** A stretch of speech, a sentence or a part of one. Times are seconds from the audio's start. */
export type Segment = Plain<contract.Segment>;
/** One word with its time. */
export type Word = Plain<contract.Word>;

/** What was said. */
export type Transcript = Omit<Plain<contract.TranscribeResponse>, 'model' | 'timing'> & {
  readonly model: Model;
  readonly timing: Timing;
};

/** Calls Transcribe. */
export async function transcribe(caller: Caller, audio: Uint8Array, options: TranscribeOptions): Promise<Transcript> {
  const request = create(contract.TranscribeRequestSchema, {
    audio: { content: audio, ...rawMessage(options) },
    options: optionsMessage(options),
  });
  const answer = await caller.unary('Transcribe', contract.InferenceService.method.transcribe, request, options);
  return { ...plain(answer), ...provenance(answer) };
}

const TASKS = {
  transcribe: contract.TranscribeTask.TRANSCRIBE,
  translate: contract.TranscribeTask.TRANSLATE,
} as const satisfies Record<NonNullable<TranscribeOptions['task']>, contract.TranscribeTask>;

const TIMESTAMPS = {
  none: contract.Timestamps.NONE,
  segment: contract.Timestamps.SEGMENT,
  word: contract.Timestamps.WORD,
} as const satisfies Record<NonNullable<TranscribeOptions['timestamps']>, contract.Timestamps>;

const ENCODINGS = {
  pcm_s16le: contract.AudioEncoding.PCM_S16LE,
  pcm_f32le: contract.AudioEncoding.PCM_F32LE,
} as const satisfies Record<RawAudio['encoding'], contract.AudioEncoding>;

/** The message's `raw`, or nothing. */
export function rawMessage({ raw }: TranscribeOptions): { raw?: MessageInitShape<typeof contract.RawAudioSchema> } {
  return raw === undefined ? {} : { raw: { ...raw, encoding: ENCODINGS[raw.encoding] } };
}

/** The options as the contract has them; what is absent stays absent, so the server's defaults hold. */
export function optionsMessage(options: TranscribeOptions): MessageInitShape<typeof contract.TranscribeOptionsSchema> {
  const { raw, task, timestamps, temperatures, timeoutMs, signal, headers, priority, ...same } = options;
  return {
    ...same,
    ...(task !== undefined && { task: TASKS[task] }),
    ...(timestamps !== undefined && { timestamps: TIMESTAMPS[timestamps] }),
    ...(temperatures !== undefined && { temperatures: [...temperatures] }),
  };
}
