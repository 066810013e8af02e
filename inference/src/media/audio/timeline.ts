/** Timestamps that are off by less are those of one sound: containers round them, recorders jitter. */
const TOLERANCE_SECONDS = 0.15;
/** A clock that jumps back by more, or forward by more than an audio file pauses, was set anew. */
const BACK_MAX_SECONDS = 1;
const FORWARD_MAX_SECONDS = 3_600;

/** Samples to put out next: first silence of that many samples, then a part of the block. */
export interface Placement {
  readonly silentSamples: number;
  readonly samples: Float32Array;
}

/** Puts blocks of samples where their times say: holes become silence, what lies before 0 or was given already is left out. */
export class Timeline {
  readonly warnings: string[] = [];
  #seconds = 0;
  #shiftSeconds = 0;
  #begun = false;

  /** Where the next sample stands. */
  get seconds(): number {
    return this.#seconds;
  }

  /** Without a time, the samples follow those before. */
  place(samples: Float32Array, sampleRateHz: number, timestampSeconds: number | undefined): Placement {
    const offset = this.#offset(timestampSeconds);
    const silentSamples = Math.max(0, Math.round(offset * sampleRateHz));
    const left = samples.subarray(Math.max(0, Math.round(-offset * sampleRateHz)));
    if (left.length === 0) return { silentSamples: 0, samples: left };
    this.#begun = true;
    this.#seconds += (silentSamples + left.length) / sampleRateHz;
    return { silentSamples, samples: left };
  }

  /** Where the samples belong, from where the next would be. */
  #offset(timestampSeconds: number | undefined): number {
    if (timestampSeconds === undefined || !Number.isFinite(timestampSeconds)) return 0;
    const offset = timestampSeconds + this.#shiftSeconds - this.#seconds;
    if (!this.#begun && offset <= FORWARD_MAX_SECONDS) return offset;
    if (Math.abs(offset) <= TOLERANCE_SECONDS) return 0;
    if (offset >= -BACK_MAX_SECONDS && offset <= FORWARD_MAX_SECONDS) return offset;
    this.#shiftSeconds -= offset;
    const jump = offset < 0 ? 'back' : 'on';
    if (this.#begun && this.warnings.length === 0) {
      this.warnings.push(
        `The audio's clock jumps ${jump} by ${Math.abs(offset).toFixed(0)} s at ${this.#seconds.toFixed(2)} s; ` +
          'what follows was put right after what came before.',
      );
    }
    return 0;
  }
}
