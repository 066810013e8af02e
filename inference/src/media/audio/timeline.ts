import { BACK_MAX_SECONDS, BEGINNING_SECONDS, clockJump, OVERLAP_MIN_SECONDS } from '@heimdex/common';

/**
 * Smaller holes are ignored: containers round times (Matroska to 1 ms), and those of a browser's recorder jitter by some 10 ms. What is
 * filled by mistake is at most that jitter in all, since every filling moves the end of the timeline. Two missing packets of AAC or
 * Opus (43 and 40 ms) are about as much.
 */
export const HOLE_MIN_SECONDS = 0.04;
/** Larger steps forward are jumps of the clock, not pauses. */
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
    // FFmpeg's fragmented MP4 moves the packet of the encoder's delay, whose time is negative, to 0, and leaves a hole of some 0.1 s behind it.
    if (this.#seconds < BEGINNING_SECONDS && Math.abs(offset) <= OVERLAP_MIN_SECONDS) {
      if (offset > HOLE_MIN_SECONDS) this.#shiftSeconds -= offset;
      return 0;
    }
    if (offset <= HOLE_MIN_SECONDS && offset >= -OVERLAP_MIN_SECONDS) return 0;
    const restarts = offset < 0 && Math.abs(timestampSeconds) < BEGINNING_SECONDS;
    if (!restarts && offset >= -BACK_MAX_SECONDS && offset <= FORWARD_MAX_SECONDS) return offset;
    this.#shiftSeconds -= offset;
    if (this.#begun && this.warnings.length === 0)
      this.warnings.push(clockJump(offset < 0 ? 'back' : 'forward', Math.abs(offset), this.#seconds));
    return 0;
  }
}
