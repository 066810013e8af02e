import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  type AudioEncoding,
  RawAudioSchema,
  Timestamps,
  TranscribeOptionsSchema,
  TranscribeTask,
  type VadParametersSchema,
} from '@heimdex/gen';
import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { VAD_OPTIONS } from '../../src/models/speech/vad-options.js';
import { MAX_PROMPT_CHARACTERS as MAX, parseRawAudio, parseSpeechOptions } from '../../src/services/speech-options.js';

describe('parseSpeechOptions', () => {
  it('returns the defaults of the contract', () => {
    expect(parseSpeechOptions(undefined)).to.deep.equal({
      language: undefined,
      task: 'transcribe',
      timestamps: 'segment',
      initialPrompt: undefined,
      hotwords: undefined,
      temperatures: [0, 0.2, 0.4, 0.6, 0.8, 1],
      beamSize: 1,
      patience: 1,
      lengthPenalty: 1,
      compressionRatioThreshold: 2.4,
      logProbThreshold: -1,
      noSpeechThreshold: 0.6,
      conditionOnPreviousText: true,
      hallucinationSilenceSeconds: undefined,
      vadFilter: false,
      vadOptions: {
        threshold: 0.5,
        negThreshold: 0.35,
        minSpeechDurationMs: 0,
        maxSpeechDurationSeconds: Number.POSITIVE_INFINITY,
        minSilenceDurationMs: 2000,
        speechPadMs: 400,
      },
      clipStartSeconds: 0,
      clipEndSeconds: undefined,
      live: false,
    });
  });

  for (const [name, options, message] of [
    ['a time that is no number', { clipStartSeconds: Number.NaN }, 'clip_start_seconds must be 0 or more, got NaN'],
    ['a negative time', { clipStartSeconds: -1 }, 'clip_start_seconds must be 0 or more, got -1'],
    ['an infinite time', { clipStartSeconds: Infinity }, 'clip_start_seconds must be a finite number, got Infinity'],
    ['a threshold of NaN', { logProbThreshold: NaN }, 'log_prob_threshold must be a finite number, got NaN'],
    ['a name of a language', { language: 'Korean' }, 'language must be an ISO 639-1 code such as "en", got "Korean"'],
    [
      'many temperatures',
      { temperatures: Array<number>(17).fill(0) },
      'temperatures must have at most 16 entries, got 17',
    ],
    [
      'a long prompt',
      { initialPrompt: 'a'.repeat(MAX + 1) },
      `initial_prompt must have at most ${MAX} characters, got ${MAX + 1}`,
    ],
    [
      'long hotwords',
      { hotwords: 'a'.repeat(MAX + 1) },
      `hotwords must have at most ${MAX} characters, got ${MAX + 1}`,
    ],
    ['a temperature above 1', { temperatures: [0, 1.5] }, 'temperatures[1] must be 0 to 1, got 1.5'],
    [
      'a clip that ends where it begins',
      { clipStartSeconds: 2, clipEndSeconds: 2 },
      'clip_end_seconds must be greater than clip_start_seconds (2), got 2',
    ],
    [
      'a threshold of silence without word times',
      { hallucinationSilenceThresholdSeconds: 2 },
      'hallucination_silence_threshold_seconds needs timestamps WORD',
    ],
  ] satisfies [string, MessageInitShape<typeof TranscribeOptionsSchema>, string][]) {
    it(`rejects ${name}`, () => {
      const given = create(TranscribeOptionsSchema, options);
      expect(() => parseSpeechOptions(given)).to.throw(InferenceError, `options.${message}`);
    });
  }

  it('accepts raw audio of an encoding, a rate and channels that exist', () => {
    const parse = (raw: MessageInitShape<typeof RawAudioSchema>) =>
      parseRawAudio('audio.raw', create(RawAudioSchema, { encoding: 2, sampleRateHz: 8000, channelCount: 2, ...raw }));
    expect(parse({})).to.include({ sampleRateHz: 8000, channelCount: 2 });
    for (const [raw, message] of [
      [{ encoding: 0 }, 'encoding must be PCM_S16LE or PCM_F32LE'],
      [{ encoding: 9 as AudioEncoding }, 'encoding has no enum value 9'],
      [{ sampleRateHz: 0 }, 'sample_rate_hz must be 1000 to 384000, got 0'],
      [{ channelCount: 33 }, 'channel_count must be 1 to 32, got 33'],
    ] as const)
      expect(() => parse(raw)).to.throw(InferenceError, `audio.raw.${message}`);
  });

  it('accepts live speech, with options that it supports only', () => {
    const parse = (options: MessageInitShape<typeof TranscribeOptionsSchema>) =>
      parseSpeechOptions(create(TranscribeOptionsSchema, { ...options, live: true }));
    expect(parse({ language: 'ko', timestamps: Timestamps.WORD, vadFilter: false }).live).to.equal(true);
    for (const [options, name] of [
      [{ task: TranscribeTask.TRANSLATE }, 'task TRANSLATE'],
      [{ timestamps: Timestamps.NONE }, 'timestamps NONE'],
      [{ vadFilter: true }, 'vad_filter, because live always detects pauses'],
      [{ clipStartSeconds: 0 }, 'clip_start_seconds'],
      [{ clipEndSeconds: 1 }, 'clip_end_seconds'],
      [
        { timestamps: Timestamps.WORD, hallucinationSilenceThresholdSeconds: 2 },
        'hallucination_silence_threshold_seconds',
      ],
    ] as const)
      expect(() => parse(options)).to.throw(InferenceError, `options.live cannot be combined with ${name}; leave`);
  });

  describe('VAD parameters', () => {
    const parse = (vadParameters: MessageInitShape<typeof VadParametersSchema>, vadFilter = true) =>
      parseSpeechOptions(create(TranscribeOptionsSchema, { vadFilter, vadParameters })).vadOptions;

    it('are returned as given, and neg_threshold follows threshold', () => {
      expect(parse({ maxSpeechDurationS: 30, minSilenceDurationMs: 0, speechPadMs: 30 })).to.deep.equal({
        ...VAD_OPTIONS,
        maxSpeechDurationSeconds: 30,
        minSilenceDurationMs: 0,
        speechPadMs: 30,
      });
      expect(parse({ threshold: 0.75 }).negThreshold).to.be.closeTo(0.6, 1e-6);
      expect(parse({ threshold: 0 }).negThreshold).to.equal(0);
      expect(parse({ threshold: 0.1 }).negThreshold).to.equal(0.01);
      expect(parse({ negThreshold: 0.5 }).negThreshold).to.equal(0.5);
    });

    for (const [name, parameters, message] of [
      ['a threshold above 1', { threshold: 1.5 }, 'threshold must be 0 to 1, got 1.5'],
      ['neg_threshold above threshold', { negThreshold: 0.75 }, 'neg_threshold must be 0 to 0.5, got 0.75'],
      [
        'a float32 above another',
        { threshold: Math.fround(0.3), negThreshold: Math.fround(0.4) },
        'neg_threshold must be 0 to 0.3, got 0.4',
      ],
      ['max_speech_duration_s of 0', { maxSpeechDurationS: 0 }, 'max_speech_duration_s must be 1 to 300, got 0'],
      [
        'max_speech_duration_s of NaN',
        { maxSpeechDurationS: Number.NaN },
        'max_speech_duration_s must be 1 to 300, got NaN',
      ],
      [
        'max_speech_duration_s shorter than the padding',
        { maxSpeechDurationS: 2, speechPadMs: 1000 },
        'max_speech_duration_s must be greater than 2.032 (2 * speech_pad_ms plus one step), got 2',
      ],
      ['a silence of hours', { minSilenceDurationMs: 1e7 }, 'min_silence_duration_ms must be 0 to 30000, got 10000000'],
    ] as const) {
      it(`reject ${name}`, () => {
        expect(() => parse(parameters)).to.throw(InferenceError, `options.vad_parameters.${message}`);
      });
    }

    it('are rejected without vad_filter', () => {
      expect(() => parse({}, false)).to.throw(InferenceError, 'options.vad_parameters needs vad_filter');
    });
  });
});
