/** Validates TranscribeOptions and RawAudio of the contract and fills in their defaults. */
import { AudioEncoding, type RawAudio, Timestamps, type TranscribeOptions, TranscribeTask } from '@heimdex/gen';
import type { RawAudioFormat } from '../media/audio/index.js';
import type { SpeechOptions } from '../models/speech/speech.js';
import { checkEnum, checkNumber, fraction, invalid, type NumberRange } from './check.js';
import { parseVadOptions } from './vad-options.js';

const TASKS = {
  [TranscribeTask.UNSPECIFIED]: 'transcribe',
  [TranscribeTask.TRANSCRIBE]: 'transcribe',
  [TranscribeTask.TRANSLATE]: 'translate',
} as const satisfies Record<TranscribeTask, SpeechOptions['task']>;

const TIMESTAMPS = {
  [Timestamps.UNSPECIFIED]: 'segment',
  [Timestamps.NONE]: 'none',
  [Timestamps.SEGMENT]: 'segment',
  [Timestamps.WORD]: 'word',
} as const satisfies Record<Timestamps, SpeechOptions['timestamps']>;

const ENCODINGS = {
  [AudioEncoding.UNSPECIFIED]: undefined,
  [AudioEncoding.PCM_S16LE]: 'pcm-s16le',
  [AudioEncoding.PCM_F32LE]: 'pcm-f32le',
} as const satisfies Record<AudioEncoding, RawAudioFormat['encoding'] | undefined>;

const DEFAULT_TEMPERATURES = [0, 0.2, 0.4, 0.6, 0.8, 1];
const MAX_TEMPERATURES = 16;
const MAX_BEAM_SIZE = 8;
export const MAX_PROMPT_CHARACTERS = 10_000;

/** Parses the options. Throws INVALID_ARGUMENT for a value outside its range; each family checks what its models support. */
export function parseSpeechOptions(options: TranscribeOptions | undefined): SpeechOptions {
  const from = (name: string) => `options.${name}`;
  const number = (name: string, value: number | undefined, range: NumberRange) => checkNumber(from(name), value, range);
  const clipStartSeconds = number('clip_start_seconds', options?.clipStartSeconds, AT_LEAST_ZERO);
  return {
    language: parseLanguage(options?.language),
    task: checkEnum(from('task'), options?.task ?? TranscribeTask.UNSPECIFIED, TASKS),
    timestamps: checkEnum(from('timestamps'), options?.timestamps ?? Timestamps.UNSPECIFIED, TIMESTAMPS),
    initialPrompt: checkText(from('initial_prompt'), options?.initialPrompt),
    hotwords: checkText(from('hotwords'), options?.hotwords),
    temperatures: parseTemperatures(options?.temperatures ?? []),
    beamSize: number('beam_size', options?.beamSize, { min: 1, max: MAX_BEAM_SIZE, fallback: 1 }),
    patience: number('patience', options?.patience, { min: 0.1, max: 10, fallback: 1 }),
    lengthPenalty: number('length_penalty', options?.lengthPenalty, { min: 0, max: 2, fallback: 1 }),
    compressionRatioThreshold: number(
      'compression_ratio_threshold',
      options?.compressionRatioThreshold,
      anyNumber(2.4),
    ),
    logProbThreshold: number('log_prob_threshold', options?.logProbThreshold, anyNumber(-1)),
    noSpeechThreshold: number('no_speech_threshold', options?.noSpeechThreshold, fraction(0.6)),
    conditionOnPreviousText: options?.conditionOnPreviousText ?? true,
    hallucinationSilenceSeconds: parseHallucinationSilence(options),
    vadFilter: options?.vadFilter ?? false,
    vadOptions: parseVadOptions(options),
    clipStartSeconds,
    clipEndSeconds: parseClipEnd(options?.clipEndSeconds, clipStartSeconds),
    live: parseLive(options),
  };
}

/** Parses RawAudio; `field` is its path in the request, such as `audio.raw`. Throws INVALID_ARGUMENT. */
export function parseRawAudio(field: string, raw: RawAudio | undefined): RawAudioFormat | undefined {
  if (raw === undefined) return undefined;
  const encoding = checkEnum(`${field}.encoding`, raw.encoding, ENCODINGS);
  if (encoding === undefined) throw invalid(`${field}.encoding`, 'must be PCM_S16LE or PCM_F32LE');
  return {
    encoding,
    sampleRateHz: checkNumber(`${field}.sample_rate_hz`, raw.sampleRateHz, { min: 1000, max: 384_000, fallback: 0 }),
    channelCount: checkNumber(`${field}.channel_count`, raw.channelCount, { min: 1, max: 32, fallback: 0 }),
  };
}

const AT_LEAST_ZERO = { min: 0, max: Number.MAX_VALUE, fallback: 0 };
const anyNumber = (fallback: number) => ({ min: -Number.MAX_VALUE, max: Number.MAX_VALUE, fallback });

function parseLanguage(language: string | undefined): string | undefined {
  if (language === undefined) return undefined;
  const code = language.trim().toLowerCase();
  if (!/^[a-z]{2,3}$/.test(code)) {
    throw invalid(
      'options.language',
      `must be an ISO 639-1 code such as "en", got ${JSON.stringify(language.slice(0, 40))}`,
    );
  }
  return code;
}

function parseTemperatures(temperatures: readonly number[]): readonly number[] {
  if (temperatures.length > MAX_TEMPERATURES) {
    throw invalid('options.temperatures', `must have at most ${MAX_TEMPERATURES} entries, got ${temperatures.length}`);
  }
  if (temperatures.length === 0) return DEFAULT_TEMPERATURES;
  return temperatures.map((value, index) => checkNumber(`options.temperatures[${index}]`, value, fraction(0)));
}

function parseClipEnd(end: number | undefined, start: number): number | undefined {
  if (end === undefined) return undefined;
  if (!(end > start)) {
    throw invalid('options.clip_end_seconds', `must be greater than clip_start_seconds (${start}), got ${end}`);
  }
  return end;
}

function parseHallucinationSilence(options: TranscribeOptions | undefined): number | undefined {
  const seconds = options?.hallucinationSilenceThresholdSeconds;
  if (seconds === undefined) return undefined;
  const field = 'options.hallucination_silence_threshold_seconds';
  if (options?.timestamps !== Timestamps.WORD) throw invalid(field, 'needs timestamps WORD');
  return checkNumber(field, seconds, { min: 0, max: 30, fallback: 0 });
}

/** Throws INVALID_ARGUMENT for options that live speech does not support. */
function parseLive(options: TranscribeOptions | undefined): boolean {
  if (options?.live !== true) return false;
  const unsupported = {
    'task TRANSLATE': options.task === TranscribeTask.TRANSLATE,
    'timestamps NONE': options.timestamps === Timestamps.NONE,
    'vad_filter, because live always detects pauses': options.vadFilter === true,
    clip_start_seconds: options.clipStartSeconds !== undefined,
    clip_end_seconds: options.clipEndSeconds !== undefined,
    hallucination_silence_threshold_seconds: options.hallucinationSilenceThresholdSeconds !== undefined,
  };
  for (const [name, isSet] of Object.entries(unsupported)) {
    if (isSet) throw invalid('options.live', `cannot be combined with ${name}; leave one of them out`);
  }
  return true;
}

function checkText(field: string, text: string | undefined): string | undefined {
  if (text !== undefined && text.length > MAX_PROMPT_CHARACTERS) {
    throw invalid(field, `must have at most ${MAX_PROMPT_CHARACTERS} characters, got ${text.length}`);
  }
  return text === '' ? undefined : text;
}
