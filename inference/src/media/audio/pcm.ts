import type { AudioTrackInfo } from './formats.js';

/** Sample rate of all speech models. */
export const SPEECH_SAMPLE_RATE_HZ = 16_000;

/** Mono samples at 16 kHz, -1 to 1, decoded on demand. */
export interface PcmSource {
  /**
   * Returns the next samples, at most `maxSamples`; null at the end. Throws AUDIO_UNREADABLE, or AUDIO_TOO_LONG beyond the
   * limit that the source was opened with.
   */
  read(maxSamples: number, signal?: AbortSignal): Promise<Float32Array | null>;
  /** Frees the decoder. Idempotent. */
  close(): Promise<void>;
  /** Warnings about damaged or missing parts. Empty if there are none. */
  readonly warnings: readonly string[];
  /** The audio track that is read; undefined if the source has none. */
  readonly track?: AudioTrackInfo | undefined;
}
