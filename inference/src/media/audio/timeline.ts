/** Smaller deviations of timestamps are ignored: containers round them, recorders jitter. */
const TOLERANCE_SECONDS = 0.15;
/** Larger jumps are discontinuities of the clock, not pauses. */
const BACK_MAX_SECONDS = 1;
const FORWARD_MAX_SECONDS = 3_600;

/** Samples to output next: silence, then a part of the block. */
export interface Placement {
  readonly silentSamples: number;
  readonly samples: Float32Array;
}

/** Places blocks of samples by their timestamps: gaps become silence; samples before 0 or already output are dropped. */
export class Timeline {
  readonly warnings: string[] = [];
  #seconds = 0;
  #shiftSeconds = 0;
  #begun = false;

  /** Time of the next sample. */
  get seconds(): number {
    return this.#seconds;
  }

  /** Places a block. Without a timestamp, it follows the previous one. */
  place(samples: Float32Array, sampleRateHz: number, timestampSeconds: number | undefined): Placement {
    const offset = this.#offset(timestampSeconds);
    const silentSamples = Math.max(0, Math.round(offset * sampleRateHz));
    const left = samples.subarray(Math.max(0, Math.round(-offset * sampleRateHz)));
    if (left.length === 0) return { silentSamples: 0, samples: left };
    this.#begun = true;
    this.#seconds += (silentSamples + left.length) / sampleRateHz;
    return { silentSamples, samples: left };
  }

  /** Returns the offset of the samples from the expected time. */
  #offset(timestampSeconds: number | undefined): number {
    if (timestampSeconds === undefined || !Number.isFinite(timestampSeconds)) return 0;
    const offset = timestampSeconds + this.#shiftSeconds - this.#seconds;
    if (!this.#begun && offset <= FORWARD_MAX_SECONDS) return offset;
    if (Math.abs(offset) <= TOLERANCE_SECONDS) return 0;
    if (offset >= -BACK_MAX_SECONDS && offset <= FORWARD_MAX_SECONDS) return offset;
    this.#shiftSeconds -= offset;
    const direction = offset < 0 ? 'back' : 'forward';
    if (this.#begun && this.warnings.length === 0) {
      this.warnings.push(
        `The audio's clock jumps ${direction} by ${Math.abs(offset).toFixed(0)} s at ${this.#seconds.toFixed(2)} s; ` +
          'the gap was ignored.',
      );
    }
    return 0;
  }
}
