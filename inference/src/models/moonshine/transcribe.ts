import { InferenceError } from '../../errors.js';
import {
  type PcmSource,
  SPEECH_SAMPLE_RATE_HZ,
  type SpeechOptions,
  type SpeechSegment,
  type Transcriber,
} from '../speech.js';
import { audible, firstPause, quietestCut } from './utterances.js';
import type { MoonshineResult, MoonshineWindow, UtteranceResult } from './window.js';

/** Longest utterance; the model was trained on few longer ones. A longer recording is cut at its pauses. */
const MAX_UTTERANCE_SAMPLES = 15 * SPEECH_SAMPLE_RATE_HZ;

/** One recording through Moonshine, utterance by utterance. English only; times are those of the cuts between utterances. */
export const transcribeWithMoonshine: Transcriber<MoonshineWindow, MoonshineResult> = async function* (
  source,
  options,
  submit,
  signal,
) {
  checkOptions(options);
  const clip = new Clip(source, options);
  let speechSamples = 0;
  let id = 0;
  for (;;) {
    const { samples, start } = await clip.fill(MAX_UTTERANCE_SAMPLES, signal);
    if (samples.length === 0) break;
    const whole = samples.length < MAX_UTTERANCE_SAMPLES;
    const length = firstPause(samples) ?? (whole ? samples.length : quietestCut(samples));
    const window = samples.slice(0, length);
    const sound = audible(window);
    if (sound !== undefined) {
      const heard = window.slice(sound.start, sound.end);
      speechSamples += heard.length;
      const result = await submit({ type: 'utterance', samples: heard }, signal);
      if (result.type === 'utterance' && isSpeech(result, options)) {
        yield { type: 'segment', segment: toSegment(id, result, start + sound.start, start + sound.end) };
        id += 1;
      }
    }
    clip.drop(length);
    yield { type: 'progress', processedSeconds: (start + length) / SPEECH_SAMPLE_RATE_HZ };
  }
  yield {
    type: 'summary',
    summary: {
      language: 'en',
      languageProbability: 1,
      durationSeconds: (await clip.length(signal)) / SPEECH_SAMPLE_RATE_HZ,
      speechSeconds: speechSamples / SPEECH_SAMPLE_RATE_HZ,
    },
  };
};

function checkOptions(options: SpeechOptions): void {
  if (options.language !== undefined && options.language !== 'en') {
    throw new InferenceError(
      'LANGUAGE_UNSUPPORTED',
      `Expected language "en", got "${options.language}". Moonshine understands English; serve Whisper for other languages (ASR_MODEL=base, say).`,
      { field: 'options.language' },
    );
  }
  if (options.task === 'translate') {
    throw new InferenceError(
      'INVALID_ARGUMENT',
      'Moonshine does not translate. Serve Whisper for it (ASR_MODEL=base, say).',
      { field: 'options.task' },
    );
  }
  if (options.timestamps === 'word') {
    throw new InferenceError(
      'TIMESTAMPS_UNSUPPORTED',
      'Moonshine gives no times of words. Serve onnx-community/whisper-base_timestamped for them (ASR_MODEL=onnx-community/whisper-base_timestamped).',
      { field: 'options.timestamps' },
    );
  }
}

/** What the model says of noise is unsure or repeats itself; the thresholds are Whisper's. */
function isSpeech(result: UtteranceResult, options: SpeechOptions): boolean {
  return (
    result.text !== '' &&
    result.avgLogProb >= options.logProbThreshold &&
    result.compressionRatio <= options.compressionRatioThreshold
  );
}

function toSegment(id: number, result: UtteranceResult, start: number, end: number): SpeechSegment {
  return {
    id,
    startSeconds: start / SPEECH_SAMPLE_RATE_HZ,
    endSeconds: end / SPEECH_SAMPLE_RATE_HZ,
    text: id === 0 ? result.text : ` ${result.text}`,
    tokens: result.tokens,
    avgLogProb: result.avgLogProb,
    compressionRatio: result.compressionRatio,
    noSpeechProb: 0,
    temperature: 0,
    words: [],
  };
}

/** The part of a recording that is asked for, read as it is needed: never more than one utterance is in memory. */
class Clip {
  readonly #source: PcmSource;
  readonly #endSample: number;
  readonly #startSample: number;
  #samples: Float32Array = new Float32Array(0);
  /** Samples of the recording that were read so far. */
  #read = 0;
  /** Where `#samples` begins, from the recording's start. */
  #start: number;
  #ended = false;

  constructor(source: PcmSource, options: SpeechOptions) {
    this.#source = source;
    this.#startSample = Math.round(options.clipStartSeconds * SPEECH_SAMPLE_RATE_HZ);
    this.#endSample =
      options.clipEndSeconds === undefined
        ? Number.POSITIVE_INFINITY
        : Math.round(options.clipEndSeconds * SPEECH_SAMPLE_RATE_HZ);
    this.#start = this.#startSample;
  }

  /** Reads until `count` samples are at hand, or the clip's end. */
  async fill(count: number, signal: AbortSignal): Promise<{ readonly samples: Float32Array; readonly start: number }> {
    const parts: Float32Array[] = [this.#samples];
    let length = this.#samples.length;
    while (length < count && this.#read < this.#endSample && !this.#ended) {
      const at = this.#read;
      const piece = await this.#next(count, signal);
      if (piece === null) break;
      const wanted = piece.subarray(
        Math.min(piece.length, Math.max(0, this.#startSample - at)),
        Math.min(piece.length, this.#endSample - at),
      );
      parts.push(wanted);
      length += wanted.length;
    }
    const samples = new Float32Array(length);
    let offset = 0;
    for (const part of parts) {
      samples.set(part, offset);
      offset += part.length;
    }
    this.#samples = samples;
    return { samples: samples.subarray(0, Math.min(count, length)), start: this.#start };
  }

  /** Done with the first `count` samples. */
  drop(count: number): void {
    this.#samples = this.#samples.slice(count);
    this.#start += count;
  }

  /** Samples of the whole recording: reads what follows the clip. */
  async length(signal: AbortSignal): Promise<number> {
    while (!this.#ended) await this.#next(MAX_UTTERANCE_SAMPLES, signal);
    return this.#read;
  }

  async #next(count: number, signal: AbortSignal): Promise<Float32Array | null> {
    const piece = await this.#source.read(count, signal);
    if (piece === null) this.#ended = true;
    else this.#read += piece.length;
    return piece;
  }
}
