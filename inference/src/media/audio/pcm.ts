import type { AudioTrackInfo } from './formats.js';

/** Sample rate of every speech model here. */
export const SPEECH_SAMPLE_RATE_HZ = 16_000;

/** Mono samples at 16 kHz, -1 to 1, decoded as they are asked for. */
export interface PcmSource {
  /**
   * The next samples, at most `maxSamples`; null at the end. Throws AUDIO_UNREADABLE, or AUDIO_TOO_LONG past the limit
   * the source was opened with.
   */
  read(maxSamples: number, signal?: AbortSignal): Promise<Float32Array | null>;
  /** Frees the decoder. Idempotent. */
  close(): Promise<void>;
  /** Said of an audio file whose tail was damaged: what was lost. Empty when nothing was. */
  readonly warnings: readonly string[];
  /** The audio track that is read; undefined of a source that has none. */
  readonly track?: AudioTrackInfo | undefined;
}
