import { type PcmSource, SPEECH_SAMPLE_RATE_HZ } from '../../../media/audio/pcm.js';

/** The end of a live stream that is not transcribed yet. Positions are samples from the audio's start. */
export class LiveBuffer {
  readonly #source: PcmSource;
  readonly #signal: AbortSignal;
  #samples = new Float32Array(0);
  #start = 0;

  constructor(source: PcmSource, signal: AbortSignal) {
    this.#source = source;
    this.#signal = signal;
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

  /** Appends the next `count` samples, fewer at the end of the audio; returns a copy of them, and whether the audio has ended. */
  async read(count: number): Promise<{ samples: Float32Array; ended: boolean }> {
    const from = this.#samples.length;
    let ended = false;
    while (this.#samples.length - from < count && !ended) {
      const part = await this.#source.read(count - (this.#samples.length - from), this.#signal);
      if (part === null) ended = true;
      else this.#append(part);
    }
    return { samples: this.#samples.slice(from), ended };
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

  #append(part: Float32Array): void {
    const samples = new Float32Array(this.#samples.length + part.length);
    samples.set(this.#samples);
    samples.set(part, this.#samples.length);
    this.#samples = samples;
  }
}
