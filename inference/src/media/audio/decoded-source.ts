import { InferenceError } from '../../errors.js';
import type { ByteSource } from './byte-source.js';
import type { DecoderHost } from './decoding-place.js';
import type { AudioTrackInfo } from './formats.js';
import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { SampleQueue } from './sample-queue.js';
import type { DecodeAnswer } from './session.js';

/** Decoding goes on until this much waits for the reader. */
const AHEAD_SAMPLES = 5 * SPEECH_SAMPLE_RATE_HZ;
/** Asked of the decoder at once. */
const PULL_SAMPLES = 2 * SPEECH_SAMPLE_RATE_HZ;
/** Content that gives no sample for this long is none; a cover image is smaller. */
const SILENT_BYTES_MAX = 64 * 1_024 * 1_024;

/** An audio file that is being decoded: keeps a few seconds ready, and no more. */
export class DecodedSource implements PcmSource {
  readonly #queue = new SampleQueue();
  readonly #waiters = new Set<() => void>();
  readonly #maxSamples: number;
  readonly #onAbort = () => this.#abandon();
  #warnings: readonly string[] = [];
  #track: AudioTrackInfo | undefined;
  #failure: unknown;
  #failed = false;
  #done = false;
  #filling = false;
  #wantsInput = true;
  #contentEnded = false;
  #madeSamples = 0;
  #silentBytes = 0;

  constructor(
    private readonly place: DecoderHost,
    private readonly bytes: ByteSource,
    private readonly maxSeconds: number,
    private readonly signal: AbortSignal,
  ) {
    this.#maxSamples = Math.ceil(maxSeconds * SPEECH_SAMPLE_RATE_HZ);
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  get track(): AudioTrackInfo | undefined {
    return this.#track;
  }

  /** Waits for the first samples. Rejects where there are none; an audio file that is too long is told by `read`. */
  async begin(): Promise<void> {
    this.#startFilling();
    while (this.#queue.length === 0 && !this.#failed && !this.#done) await this.#change(undefined);
    if (this.#queue.length > 0) return;
    if (!this.#failed) {
      const warnings = this.#warnings.map((warning) => ` ${warning}`).join('');
      throw new InferenceError('AUDIO_UNREADABLE', `The audio holds no samples that could be decoded.${warnings}`);
    }
    const tooLong = this.#failure instanceof InferenceError && this.#failure.code === 'AUDIO_TOO_LONG';
    if (!tooLong) throw this.#failure;
  }

  async read(maxSamples: number, signal?: AbortSignal): Promise<Float32Array | null> {
    for (;;) {
      if (signal?.aborted === true) throw cancelled();
      if (this.#queue.length > 0) {
        const samples = this.#queue.take(Math.max(1, Math.floor(maxSamples)));
        this.#startFilling();
        return samples;
      }
      if (this.#failed) throw this.#failure;
      if (this.#done) return null;
      this.#startFilling();
      await this.#change(signal);
    }
  }

  async close(): Promise<void> {
    this.#abandon();
    await this.place.close();
  }

  #startFilling(): void {
    if (this.#filling || this.#failed || this.#done || this.#queue.length >= AHEAD_SAMPLES) return;
    this.#filling = true;
    this.#fill().then(
      () => {
        this.#filling = false;
        // The reader may have taken some since the last look at the queue.
        this.#startFilling();
      },
      (error: unknown) => {
        this.#filling = false;
        this.#fail(error);
      },
    );
  }

  async #fill(): Promise<void> {
    while (!this.#failed && !this.#done && this.#queue.length < AHEAD_SAMPLES) {
      const input = this.#wantsInput && !this.#contentEnded ? await this.bytes.next() : undefined;
      if (this.#failed) return;
      if (this.#wantsInput && input === undefined) this.#contentEnded = true;
      this.#silentBytes += input?.length ?? 0;
      const answer = await this.place.pull({ input, ended: this.#contentEnded, maxSamples: PULL_SAMPLES });
      if (this.#failed) return;
      this.#wantsInput = answer.wantsInput;
      this.#take(answer);
    }
  }

  #take(answer: DecodeAnswer): void {
    this.#warnings = answer.warnings;
    this.#track = answer.track;
    if ((answer.declaredSeconds ?? 0) > this.maxSeconds) return this.#fail(this.#tooLong(answer.declaredSeconds));
    const room = this.#maxSamples - this.#madeSamples;
    this.#madeSamples += answer.samples.length;
    this.#queue.put(answer.samples.subarray(0, room));
    if (this.#madeSamples > this.#maxSamples) return this.#fail(this.#tooLong(undefined));
    if (answer.samples.length > 0) this.#silentBytes = 0;
    if (answer.done) return this.#end();
    const silentBytesMax = answer.silentBytesMax ?? SILENT_BYTES_MAX;
    if (this.#silentBytes > silentBytesMax) return this.#endOfSense(silentBytesMax);
    this.#notify();
  }

  #endOfSense(silentBytesMax: number): void {
    const megabytes = silentBytesMax / 1_048_576;
    const message = `${megabytes} MiB in a row held nothing that could be decoded`;
    if (this.#madeSamples === 0) return this.#fail(new InferenceError('AUDIO_UNREADABLE', `Of the audio, ${message}.`));
    this.#warnings = [...this.#warnings, `The audio was given up where ${message}.`];
    this.#end();
  }

  /** Nobody wants the rest, nor what waits. */
  #abandon(): void {
    this.#queue.clear();
    this.#done = false;
    this.#failed = false;
    this.#fail(cancelled());
  }

  /** The decoder is freed at once; the reader still gets what waits. */
  #end(): void {
    this.#done = true;
    this.#release();
  }

  #fail(error: unknown): void {
    if (this.#failed || this.#done) return;
    this.#failed = true;
    this.#failure = error;
    this.#release();
  }

  #release(): void {
    this.signal.removeEventListener('abort', this.#onAbort);
    this.bytes.close();
    this.place.close().catch(() => undefined);
    this.#notify();
  }

  #tooLong(seconds: number | undefined): InferenceError {
    const length = seconds === undefined ? 'longer than that' : `${Math.ceil(seconds)} s long`;
    return new InferenceError(
      'AUDIO_TOO_LONG',
      `An audio file may have ${this.maxSeconds} s; this one is ${length}. Cut it into shorter parts.`,
    );
  }

  #notify(): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const wake of waiters) wake();
  }

  async #change(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = () => {
        this.#waiters.delete(wake);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }
}

/** The reader gave up, or closed the source. */
export function cancelled(): InferenceError {
  return new InferenceError('CANCELLED', 'The audio was given up before its end.');
}
