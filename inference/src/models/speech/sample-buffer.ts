import type { PcmSource } from '../../media/audio/pcm.js';
import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { SpeechOptions } from './speech.js';

/** Samples per read. */
const READ_SAMPLES = SPEECH_SAMPLE_RATE_HZ;

/**
 * A forward-moving window over an audio file: filled on demand from its source, dropped at its front. Skips what is
 * before `clipStartSeconds` and after `clipEndSeconds`. Times are those of the whole audio.
 */
export class SampleBuffer {
  readonly #clipEnd: number;
  #samples = new Float32Array(0);
  #filled = 0;
  /** Start of the buffer in the audio. */
  #start: number;
  /** Samples read from the audio. */
  #read = 0;
  #kept = 0;
  #skip: number;
  #ended = false;

  constructor(
    private readonly source: Pick<PcmSource, 'read'>,
    options: Pick<SpeechOptions, 'clipStartSeconds' | 'clipEndSeconds'>,
    private readonly signal: AbortSignal,
  ) {
    this.#skip = Math.round(options.clipStartSeconds * SPEECH_SAMPLE_RATE_HZ);
    this.#start = this.#skip;
    this.#clipEnd = Math.round((options.clipEndSeconds ?? Number.POSITIVE_INFINITY) * SPEECH_SAMPLE_RATE_HZ);
  }

  /** Start of the buffer, in seconds from the audio's start. */
  get startSeconds(): number {
    return this.#start / SPEECH_SAMPLE_RATE_HZ;
  }

  /** Length read so far: that of the whole audio after `fill` has returned false. */
  get durationSeconds(): number {
    return this.#read / SPEECH_SAMPLE_RATE_HZ;
  }

  /** Length read so far within the clip. */
  get keptSeconds(): number {
    return this.#kept / SPEECH_SAMPLE_RATE_HZ;
  }

  /** End of the clip, in seconds from the audio's start; Infinity while unknown. */
  get endSeconds(): number {
    return this.#ended ? (this.#start + this.#filled) / SPEECH_SAMPLE_RATE_HZ : Number.POSITIVE_INFINITY;
  }

  /** Samples in the buffer. */
  get length(): number {
    return this.#filled;
  }

  /** Reads until `count` samples are buffered or the audio ends. Returns false when none are left. */
  async fill(count: number): Promise<boolean> {
    for (;;) {
      const state = await this.fillOrRest(count);
      if (state !== 'silence') return state === 'samples';
    }
  }

  /**
   * Like `fill`, but also returns after the source has passed a long silence of which it keeps nothing. `samples`: some
   * are buffered, possibly fewer than `count`; `silence`: none yet; `end`: none are left.
   */
  async fillOrRest(count: number): Promise<'samples' | 'silence' | 'end'> {
    while (!this.#ended && this.#filled < count) {
      const samples = await this.source.read(READ_SAMPLES, this.signal);
      if (samples === null) this.#ended = true;
      else if (samples.length > 0) this.#append(samples);
      else return this.#filled > 0 ? 'samples' : 'silence';
    }
    return this.#filled > 0 ? 'samples' : 'end';
  }

  /** Copies the first `count` samples, or fewer at the end. The copy may be transferred. */
  peek(count: number): Float32Array {
    return this.#samples.slice(0, Math.min(count, this.#filled));
  }

  /** Removes the first `count` samples. */
  drop(count: number): void {
    const dropped = Math.min(count, this.#filled);
    this.#samples.copyWithin(0, dropped, this.#filled);
    this.#filled -= dropped;
    this.#start += dropped;
  }

  #append(samples: Float32Array): void {
    const end = Math.min(samples.length, Math.max(0, this.#clipEnd - this.#read));
    this.#read += samples.length;
    const from = Math.min(this.#skip, end);
    this.#skip -= Math.min(this.#skip, samples.length);
    const kept = samples.subarray(from, end);
    if (this.#filled + kept.length > this.#samples.length) {
      const larger = new Float32Array(Math.max(this.#filled + kept.length, 2 * this.#samples.length));
      larger.set(this.#samples.subarray(0, this.#filled));
      this.#samples = larger;
    }
    this.#samples.set(kept, this.#filled);
    this.#filled += kept.length;
    this.#kept += kept.length;
  }
}
