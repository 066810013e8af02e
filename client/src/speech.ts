import { create, type MessageInitShape } from '@bufbuild/protobuf';
import * as contract from '@heimdex/gen';
import { type Model, provenance, type Timing } from './answers.js';
import { expectBytes, meaningOf } from './arguments.js';
import type { CallOptions } from './options.js';
import { type Plain, plain } from './plain.js';
import type { Caller } from './transport/caller.js';

/** Samples without a container. */
export interface RawAudio {
  /** Little endian, channels interleaved. */
  readonly encoding: 'pcm_s16le' | 'pcm_f32le';
  /** Samples per second and channel, 1,000 to 384,000. */
  readonly sampleRateHz: number;
  /** 1 to 32; downmixed to mono. */
  readonly channelCount: number;
}

/** Options of the voice activity detector; names and defaults are those of faster-whisper's VadOptions. */
export interface VadParameters {
  /** Speech starts at this probability, 0 to 1. Default 0.5. */
  readonly threshold?: number;
  /** Speech ends below this probability, 0 to `threshold`. Default: `threshold` - 0.15. */
  readonly negThreshold?: number;
  /** Shorter speech is dropped, 0 to 30,000. Default 0. */
  readonly minSpeechDurationMs?: number;
  /** Longer speech is split at its last short silence, seconds, 1 to 300. Default: never. */
  readonly maxSpeechDurationS?: number;
  /** Shorter silence does not end speech, 0 to 30,000. Default 2000. */
  readonly minSilenceDurationMs?: number;
  /** Padding before and after speech, 0 to 30,000. Default 400. */
  readonly speechPadMs?: number;
}

/** Options of Transcribe; names and defaults are those of the reference implementation (Whisper, faster-whisper). */
export interface TranscribeOptions extends CallOptions {
  /** Set only when the audio has no container. */
  readonly raw?: RawAudio;
  /** ISO 639-1, such as `en`. Default: detected. */
  readonly language?: string;
  /** `translate` outputs English for any spoken language. Default `transcribe`. */
  readonly task?: 'transcribe' | 'translate';
  /** Timestamp granularity. Default `segment`. */
  readonly timestamps?: 'none' | 'segment' | 'word';
  /** Prompt for the first window, to set names, spelling and style. */
  readonly initialPrompt?: string;
  /** Hint words, added to the prompt of every window. */
  readonly hotwords?: string;
  /** Tried in order until a window passes the thresholds. Default 0, 0.2, 0.4, 0.6, 0.8, 1. */
  readonly temperatures?: readonly number[];
  /** Beams of the search, 1 to 8. Default 1. */
  readonly beamSize?: number;
  /** Beam search ends after `patience` * `beamSize` finished hypotheses, 0.1 to 10. Default 1. */
  readonly patience?: number;
  /** Exponent of the length that divides a hypothesis's log-probability, 0 to 2. Default 1. */
  readonly lengthPenalty?: number;
  /** Fall back to the next temperature above this ratio. Default 2.4. */
  readonly compressionRatioThreshold?: number;
  /** Fall back to the next temperature below this mean log-probability. Default -1. */
  readonly logProbThreshold?: number;
  /** A window above this no-speech probability that fails `logProbThreshold` is silence. 0 to 1, default 0.6. */
  readonly noSpeechThreshold?: number;
  /** Prompt each window with the preceding text. Default true. False decodes several windows at a time, which is faster. */
  readonly conditionOnPreviousText?: boolean;
  /** Skip audio without speech, found by a voice activity detector. Default false. */
  readonly vadFilter?: boolean;
  /** Options of `vadFilter`, which must be set. */
  readonly vadParameters?: VadParameters;
  /** Skip silence longer than this around likely hallucinations. Needs `word` timestamps. Default: skip nothing. */
  readonly hallucinationSilenceThresholdSeconds?: number;
  /** Index of the audio track, from 0. Default: the default track if it can be decoded, else the first that can. */
  readonly audioTrack?: number;
  /** Start of the clip, seconds from the audio's start. Default 0. */
  readonly clipStartSeconds?: number;
  /** End of the clip, seconds from the audio's start. Default: the audio's end. */
  readonly clipEndSeconds?: number;
  /** TranscribeStream: also yield `partial` events, and segments as soon as two passes agree on them. Default false. */
  readonly live?: boolean;
}

/** A segment of speech: a sentence or a part of one. Times are seconds from the audio's start. */
export type Segment = Plain<contract.Segment>;
/** One word with its timestamps. */
export type Word = Plain<contract.Word>;

/** The complete result of Transcribe. */
export type Transcript = Omit<Plain<contract.TranscribeResponse>, 'model' | 'timing'> & {
  readonly model: Model;
  readonly timing: Timing;
};

/** Calls Transcribe. */
export async function transcribe(caller: Caller, audio: Uint8Array, options: TranscribeOptions): Promise<Transcript> {
  expectBytes('audio', audio);
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

/** Returns the message's `raw` field, if set. */
export function rawMessage({ raw }: TranscribeOptions): { raw?: MessageInitShape<typeof contract.RawAudioSchema> } {
  return raw === undefined ? {} : { raw: { ...raw, encoding: meaningOf('raw.encoding', raw.encoding, ENCODINGS) } };
}

/** Converts the options to the protobuf message. Absent options stay absent, so the server's defaults apply. */
export function optionsMessage(options: TranscribeOptions): MessageInitShape<typeof contract.TranscribeOptionsSchema> {
  const { raw, task, timestamps, temperatures, timeoutMs, signal, headers, priority, ...same } = options;
  return {
    ...same,
    ...(task !== undefined && { task: meaningOf('task', task, TASKS) }),
    ...(timestamps !== undefined && { timestamps: meaningOf('timestamps', timestamps, TIMESTAMPS) }),
    ...(temperatures !== undefined && { temperatures: [...temperatures] }),
  };
}
