import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from '../../../media/audio/pcm.js';
import { SampleQueue } from '../../../media/audio/sample-queue.js';

/** Audio read ahead of `take`, 4 s: what comes during a pass. Beyond it the source waits. */
const AHEAD_SAMPLES = 4 * SPEECH_SAMPLE_RATE_HZ;
/** Asked of the source at a time. */
const READ_SAMPLES = 4096;

/**
 * The end of a live stream that is not transcribed yet. Positions are samples from the audio's start. The source is read all the time,
 * so that what comes while a window is decoded is there at once afterwards.
 */
export class LiveBuffer {
  #samples = new Float32Array(0);
  #start = 0;
  /** Read and not taken. */
  readonly #ahead = new SampleQueue();
  #ended = false;
  #failure: unknown;
  /** Wakes the reader when there is room again, and `take` when there is more. */
  #wake: () => void = () => {};

  constructor(
    private readonly source: PcmSource,
    private readonly signal: AbortSignal,
  ) {
    this.#readAhead()
      .catch((error: unknown) => {
        this.#failure = error;
      })
      .finally(() => {
        this.#ended = true;
        this.#wake();
      });
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#start + this.#samples.length;
  }

  get startSeconds(): number {
    return this.#start / SPEECH_SAMPLE_RATE_HZ;
  }

  /**
   * Appends what has come, in whole steps and at least `least` samples (a multiple of `step`); what is left at the end of the audio.
   * Returns a copy of it, and whether the audio has ended.
   */
  async take(least: number, step: number): Promise<{ samples: Float32Array; ended: boolean }> {
    while (this.#ahead.length < least && !this.#ended) await this.#changed();
    if (this.#failure !== undefined) throw this.#failure;
    const { length } = this.#ahead;
    const samples = this.#ahead.take(this.#ended ? length : length - (length % step));
    const all = new Float32Array(this.#samples.length + samples.length);
    all.set(this.#samples);
    all.set(samples, this.#samples.length);
    this.#samples = all;
    this.#wake();
    return { samples, ended: this.#ended };
  }

  /** Copies the samples up to a position. */
  upTo(end: number): Float32Array {
    return this.#samples.slice(0, Math.max(0, end - this.#start));
  }

  /** Drops the samples before a position. */
  dropBefore(position: number): void {
    const count = Math.min(Math.max(0, position - this.#start), this.#samples.length);
    this.#samples = this.#samples.slice(count);
    this.#start += count;
  }

  async #readAhead(): Promise<void> {
    for (;;) {
      while (this.#ahead.length >= AHEAD_SAMPLES) await this.#changed();
      const part = await this.source.read(READ_SAMPLES, this.signal);
      if (part === null) return;
      this.#ahead.put(part);
      this.#wake();
    }
  }

  /** Either side waits only while the other one does not. */
  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
