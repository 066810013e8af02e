import { InferenceError } from '../../../errors.js';
import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from '../../../media/audio/pcm.js';
import { STEP_SAMPLES } from '../../silero/speech-timestamps.js';
import type { VadState } from '../../silero/window.js';
import type { SpeechEvent } from '../speech.js';
import type { SubmitVad } from '../speech-source.js';
import { SpokenLanguage } from '../spoken-language.js';
import { type DetectedLanguage, languageOrDefault } from '../transcript.js';
import { type HypothesisWord, LocalAgreement } from './agreement.js';
import { Finals } from './finals.js';
import { LiveBuffer } from './live-buffer.js';
import { cutOf, MAX_WINDOW_SECONDS } from './trim.js';
import { UtteranceDetector, type UtteranceEdge } from './utterances.js';

/** Least audio checked for speech at a time, 0.256 s. */
const LISTEN_SAMPLES = 8 * STEP_SAMPLES;
/** New audio before the next pass, 0.768 s. */
const PASS_SAMPLES = 3 * LISTEN_SAMPLES;
/** Audio kept before and after an utterance, 0.4 s. */
const PAD_SAMPLES = 0.4 * SPEECH_SAMPLE_RATE_HZ;

/** One pass: a window of an utterance is decoded. */
export interface LivePass {
  readonly samples: Float32Array;
  readonly startSeconds: number;
  /** The final text before the window. */
  readonly textBefore: string;
  readonly language: string | undefined;
  /** The last pass of this window: everything in it is decoded. */
  readonly last: boolean;
}

export interface LiveHypothesis extends DetectedLanguage {
  readonly words: readonly HypothesisWord[];
}

export interface LiveTranscription {
  /** Decodes a window; each speech family that supports `live` has one. */
  readonly decode: (pass: LivePass) => Promise<LiveHypothesis>;
  readonly language: string | undefined;
  readonly submit: SubmitVad;
  readonly signal: AbortSignal;
}

/**
 * Transcribes speech while it is spoken. The window of the current utterance is decoded again as it grows: what two passes agree on is
 * final, and everything at a pause. Silence is not decoded. The pace follows the audio received: a pass needs 0.77 s of new audio and
 * takes all that has come while the previous one ran, so that a slow machine makes fewer passes instead of falling behind. Holds one
 * window, at most 24 s and the audio of one pass.
 */
export async function* transcribeLive(
  source: PcmSource,
  transcription: LiveTranscription,
): AsyncGenerator<SpeechEvent, void, void> {
  const live = new LiveSpeech(source, transcription);
  while (!live.ended) yield* live.next();
  yield live.summary();
}

class LiveSpeech {
  ended = false;
  readonly #buffer: LiveBuffer;
  readonly #detector = new UtteranceDetector();
  readonly #agreement = new LocalAgreement();
  readonly #finals = new Finals();
  #vadState: VadState | undefined;
  /** End of the audio of the last pass. */
  #passedTo = 0;
  #speechSamples = 0;
  #partial = '';
  readonly #language: SpokenLanguage;

  constructor(
    source: PcmSource,
    private readonly transcription: LiveTranscription,
  ) {
    this.#buffer = new LiveBuffer(source, transcription.signal);
    this.#language = new SpokenLanguage(transcription.language);
  }

  /** Reads and checks the next audio, and decodes where it is time. */
  async *next(): AsyncGenerator<SpeechEvent, void, void> {
    for (const { type, sample } of await this.#listen()) {
      if (type === 'start') {
        this.#buffer.dropBefore(sample - PAD_SAMPLES);
        this.#passedTo = sample;
      } else yield* this.#finish(sample + PAD_SAMPLES);
    }
    if (!this.#detector.speaking) this.#buffer.dropBefore(this.#buffer.end - PAD_SAMPLES);
    else if (this.ended || this.#windowSeconds() > MAX_WINDOW_SECONDS) yield* this.#finish(this.#buffer.end);
    else if (this.#buffer.end - this.#passedTo >= PASS_SAMPLES) yield* this.#pass();
    yield { type: 'progress', processedSeconds: this.#buffer.end / SPEECH_SAMPLE_RATE_HZ };
  }

  summary(): SpeechEvent {
    return {
      type: 'summary',
      summary: {
        ...languageOrDefault(this.#language.detected),
        durationSeconds: this.#buffer.end / SPEECH_SAMPLE_RATE_HZ,
        speechSeconds: this.#speechSamples / SPEECH_SAMPLE_RATE_HZ,
      },
    };
  }

  async #listen(): Promise<readonly UtteranceEdge[]> {
    const { samples, ended } = await this.#buffer.take(this.#leastSamples(), STEP_SAMPLES);
    this.ended = ended;
    if (samples.length === 0) return [];
    const answer = await this.#submitVad(samples);
    if (answer.type !== 'vad') throw new InferenceError('INTERNAL', 'Expected voice activity, got decoded speech.');
    this.#vadState = answer.state;
    return this.#detector.push(answer.probabilities);
  }

  /** Less where that is enough for the next pass. */
  #leastSamples(): number {
    const missing = PASS_SAMPLES - (this.#buffer.end - this.#passedTo);
    const due = Math.ceil(missing / STEP_SAMPLES) * STEP_SAMPLES;
    return this.#detector.speaking && due > 0 ? Math.min(LISTEN_SAMPLES, due) : LISTEN_SAMPLES;
  }

  async #submitVad(samples: Float32Array) {
    const { submit, signal } = this.transcription;
    try {
      return await submit({ type: 'vad', samples, state: this.#vadState }, signal);
    } catch (error) {
      if (!(error instanceof InferenceError) || error.code !== 'FEATURE_DISABLED') throw error;
      throw new InferenceError(
        'FEATURE_DISABLED',
        'options.live needs voice activity detection, which is switched off on this server. Set FEATURE_VAD=true for the downloader and the server, download, and start the server again.',
        { field: 'options.live' },
      );
    }
  }

  /** Decodes the window; what two passes agree on becomes final. */
  async *#pass(): AsyncGenerator<SpeechEvent, void, void> {
    const words = this.#agreement.push(await this.#decode(this.#buffer.end, false));
    this.#passedTo = this.#buffer.end;
    yield* this.#emit(words, this.#agreement.pending);
    const cut = cutOf(this.#agreement.confirmed, this.#agreement.pending, this.#windowSeconds());
    if (cut === undefined) return;
    this.#finals.leave(this.#agreement.confirmed.slice(0, cut.words));
    this.#agreement.drop(cut.words);
    this.#drop(Math.min(this.#buffer.end, Math.round(cut.atSeconds * SPEECH_SAMPLE_RATE_HZ)));
  }

  /** Makes everything up to a position final. */
  async *#finish(position: number): AsyncGenerator<SpeechEvent, void, void> {
    const end = Math.min(this.#buffer.end, position);
    const before = this.#agreement.confirmed;
    const words = this.#agreement.finish(await this.#decode(end, true));
    this.#finals.leave([...before, ...words]);
    yield* this.#emit(words, []);
    this.#drop(end);
    this.#passedTo = end;
  }

  async #decode(end: number, last: boolean): Promise<readonly HypothesisWord[]> {
    const hypothesis = await this.transcription.decode({
      samples: this.#buffer.upTo(end),
      startSeconds: this.#buffer.startSeconds,
      textBefore: this.#finals.textBefore,
      language: this.#language.final,
      last,
    });
    // A part of an utterance may be taken for another language than all of it.
    if (last) this.#language.add(hypothesis, hypothesis.words);
    return hypothesis.words;
  }

  *#emit(words: readonly HypothesisWord[], pending: readonly HypothesisWord[]): Generator<SpeechEvent, void, void> {
    for (const segment of this.#finals.segments(words)) yield { type: 'segment', segment };
    const text = pending.map((word) => word.text).join('');
    if (text === this.#partial) return;
    this.#partial = text;
    const now = this.#buffer.end / SPEECH_SAMPLE_RATE_HZ;
    const startSeconds = Math.max(this.#finals.endSeconds, pending[0]?.startSeconds ?? now);
    const endSeconds = Math.max(startSeconds, pending.at(-1)?.endSeconds ?? now);
    yield { type: 'partial', partial: { text, startSeconds, endSeconds } };
  }

  #drop(position: number): void {
    this.#speechSamples += Math.max(0, position - this.#buffer.start);
    this.#buffer.dropBefore(position);
  }

  #windowSeconds(): number {
    return (this.#buffer.end - this.#buffer.start) / SPEECH_SAMPLE_RATE_HZ;
  }
}
