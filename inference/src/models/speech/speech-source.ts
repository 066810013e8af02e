import { InferenceError } from '../../errors.js';
import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { SampleQueue } from '../../media/audio/sample-queue.js';
import { type SpeechTimestamp, SpeechTimestamps, STEP_SAMPLES } from '../silero/speech-timestamps.js';
import type { VadResult, VadState, VadWindow } from '../silero/window.js';
import { SampleBuffer } from './sample-buffer.js';
import type { SpeechOptions, SubmitWindow } from './speech.js';
import { KeptParts, SAME_TIMES, type TimeMap } from './time-map.js';
import type { VadOptions } from './vad-options.js';

/** Step of 30 s, the queue share of an audio file. */
const WINDOW_SAMPLES = STEP_SAMPLES * Math.floor((30 * SPEECH_SAMPLE_RATE_HZ) / STEP_SAMPLES);

/** Submits a voice activity window to its family's queue. */
export type SubmitVad = SubmitWindow<VadWindow, VadResult | { readonly type: 'decode' | 'utterance' }>;

/** An audio file as read by a transcriber. */
export interface OpenedSpeech {
  /** The samples to transcribe. Restore their times with `times`. */
  readonly audio: SampleBuffer;
  readonly times: TimeMap;
  /** Length of the audio and of the part kept, known after reading. */
  lengths(): Pick<SampleBuffer, 'durationSeconds' | 'keptSeconds'>;
  /** How far the audio was checked for speech, in seconds from its start. */
  listenedSeconds(): number;
}

/** Opens the audio within its clip; with `vadFilter` only its speech. */
export function openSpeech(
  source: PcmSource,
  options: Pick<SpeechOptions, 'vadFilter' | 'vadOptions' | 'clipStartSeconds' | 'clipEndSeconds'>,
  submit: SubmitVad,
  signal: AbortSignal,
): OpenedSpeech {
  const whole = new SampleBuffer(source, options, signal);
  if (!options.vadFilter) {
    return { audio: whole, times: SAME_TIMES, lengths: () => whole, listenedSeconds: () => whole.startSeconds };
  }
  const speech = new SpeechSource(whole, options.vadOptions, submit, signal);
  const audio = new SampleBuffer(speech, { clipStartSeconds: 0, clipEndSeconds: undefined }, signal);
  const lengths = () => ({ durationSeconds: whole.durationSeconds, keptSeconds: audio.keptSeconds });
  return { audio, times: speech.times, lengths, listenedSeconds: () => whole.startSeconds };
}

/**
 * Only the speech of an audio file, found in windows of 30 s as it is read; an empty chunk for a window without speech.
 * Holds one window and the earlier samples that may still be speech: where speech may be split, up to its maximum length.
 */
class SpeechSource implements Pick<PcmSource, 'read'> {
  readonly times = new KeptParts();
  readonly #speechTimestamps: SpeechTimestamps;
  /** Start of the clip, in samples. */
  readonly #origin: number;
  #state: VadState | undefined;
  /** Samples that may still be emitted, and their start relative to the origin. */
  #held = new Float32Array(0);
  #heldFrom = 0;
  readonly #ready = new SampleQueue();
  #ended = false;

  constructor(
    private readonly whole: SampleBuffer,
    thresholds: VadOptions,
    private readonly submit: SubmitVad,
    private readonly signal: AbortSignal,
  ) {
    this.#speechTimestamps = new SpeechTimestamps(thresholds);
    this.#origin = Math.round(whole.startSeconds * SPEECH_SAMPLE_RATE_HZ);
  }

  async read(maxSamples: number): Promise<Float32Array | null> {
    if (this.#ready.length === 0 && !this.#ended) await this.#listen();
    if (this.#ready.length === 0 && this.#ended) return null;
    // Nothing after a silence: callers see progress and get the results of what came before it.
    return this.#ready.take(maxSamples);
  }

  async #listen(): Promise<void> {
    if (!(await this.whole.fill(WINDOW_SAMPLES))) {
      this.#ended = true;
      this.#keep(this.#speechTimestamps.finish(this.#heldFrom + this.#held.length));
      this.#held = new Float32Array(0);
      return;
    }
    const samples = this.whole.peek(WINDOW_SAMPLES);
    this.whole.drop(samples.length);
    this.#hold(samples);
    const answer = await this.submit({ type: 'vad', samples, state: this.#state }, this.signal);
    if (answer.type !== 'vad') {
      throw new InferenceError('INTERNAL', `Expected voice activity, got an answer of type ${answer.type}.`);
    }
    this.#state = answer.state;
    this.#keep(this.#speechTimestamps.push(answer.probabilities));
    const from = Math.min(this.#speechTimestamps.neededFrom, this.#heldFrom + this.#held.length);
    this.#held = this.#held.slice(Math.max(0, from - this.#heldFrom));
    this.#heldFrom = Math.max(from, this.#heldFrom);
  }

  #hold(samples: Float32Array): void {
    const held = new Float32Array(this.#held.length + samples.length);
    held.set(this.#held);
    held.set(samples, this.#held.length);
    this.#held = held;
  }

  #keep(speechTimestamps: readonly SpeechTimestamp[]): void {
    for (const { start, end } of speechTimestamps) {
      const samples = this.#held.slice(start - this.#heldFrom, end - this.#heldFrom);
      if (samples.length === 0) continue;
      this.times.add(this.#origin + start, this.#origin + start + samples.length);
      this.#ready.put(samples);
    }
  }
}
