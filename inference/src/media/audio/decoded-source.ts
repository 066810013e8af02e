import { InferenceError } from '../../errors.js';
import type { ByteSource } from './byte-source.js';
import type { AudioTrackInfo } from './formats.js';
import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from './pcm.js';
import { SampleQueue } from './sample-queue.js';
import type { DecodeAnswer, DecoderHost } from './session.js';
import { audioUnreadable } from './undecodable.js';

/** Maximum number of samples decoded ahead of the reader. */
const AHEAD_SAMPLES = 5 * SPEECH_SAMPLE_RATE_HZ;
/** Samples per request to the decoder. */
const PULL_SAMPLES = 2 * SPEECH_SAMPLE_RATE_HZ;
/** Maximum consecutive bytes without a sample; larger than any cover image. */
const SILENT_BYTES_MAX = 64 * 1_024 * 1_024;

/** An audio file that is decoded a few seconds ahead of its reader. */
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
  #decodedSamples = 0;
  #silentBytes = 0;

  constructor(
    private readonly decoder: DecoderHost,
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

  /** Waits for the first samples. Rejects if there are none. AUDIO_TOO_LONG is thrown by `read`. */
  async begin(): Promise<void> {
    this.#startFilling();
    while (this.#queue.length === 0 && !this.#failed && !this.#done) await this.#change(undefined);
    if (this.#queue.length > 0) return;
    if (!this.#failed) {
      const warnings = this.#warnings.map((warning) => ` ${warning}`).join('');
      throw audioUnreadable(`The audio has no samples that could be decoded.${warnings}`);
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
    await this.decoder.close();
  }

  #startFilling(): void {
    if (this.#filling || this.#failed || this.#done || this.#queue.length >= AHEAD_SAMPLES) return;
    this.#filling = true;
    this.#fill().then(
      () => {
        this.#filling = false;
        // The reader may have read from the queue meanwhile.
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
      const answer = await this.decoder.pull({ input, ended: this.#contentEnded, maxSamples: PULL_SAMPLES });
      if (this.#failed) return;
      this.#wantsInput = answer.wantsInput;
      this.#accept(answer);
    }
  }

  #accept(answer: DecodeAnswer): void {
    this.#warnings = answer.warnings;
    this.#track = answer.track;
    if ((answer.declaredSeconds ?? 0) > this.maxSeconds) return this.#fail(this.#tooLong(answer.declaredSeconds));
    const capacity = this.#maxSamples - this.#decodedSamples;
    this.#decodedSamples += answer.samples.length;
    this.#queue.put(answer.samples.subarray(0, capacity));
    if (this.#decodedSamples > this.#maxSamples) return this.#fail(this.#tooLong(undefined));
    if (answer.samples.length > 0) this.#silentBytes = 0;
    if (answer.done) return this.#end();
    const silentBytesMax = answer.silentBytesMax ?? SILENT_BYTES_MAX;
    if (this.#silentBytes > silentBytesMax) return this.#endAtGarbage(silentBytesMax);
    this.#notify();
  }

  #endAtGarbage(silentBytesMax: number): void {
    const megabytes = silentBytesMax / 1_048_576;
    const message = `${megabytes} consecutive MiB had nothing that could be decoded`;
    if (this.#decodedSamples === 0) return this.#fail(audioUnreadable(`The audio is unreadable: ${message}.`));
    this.#warnings = [...this.#warnings, `Decoding stopped early: ${message}.`];
    this.#end();
  }

  /** Discards the queue and the rest. */
  #abandon(): void {
    this.#queue.clear();
    this.#done = false;
    this.#failed = false;
    this.#fail(cancelled());
  }

  /** Frees the decoder; the reader still gets the queued samples. */
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
    this.decoder.close().catch(() => undefined);
    this.#notify();
  }

  #tooLong(seconds: number | undefined): InferenceError {
    const length = seconds === undefined ? 'longer' : `${Math.ceil(seconds)} s long`;
    return new InferenceError(
      'AUDIO_TOO_LONG',
      `The maximum audio duration is ${this.maxSeconds} s; this file is ${length}. Split it into shorter files.`,
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

/** Returns the error of a reader that aborted or closed the source. */
export function cancelled(): InferenceError {
  return new InferenceError('CANCELLED', 'Reading the audio was cancelled before its end.');
}
