import type { AudioTrackInfo } from '../formats.js';

/** Decoded samples: one array per channel, of equal length, nominally -1 to 1. */
export interface DecodedBlock {
  readonly channels: readonly Float32Array[];
  readonly sampleRateHz: number;
  /** Time of the first sample; absent: directly after the previous block. */
  readonly timestampSeconds?: number | undefined;
}

/** Decodes one container and codec, in sequential chunks of any size. Not for concurrent calls. */
export interface Decoder {
  /**
   * Maximum chunk size for `push`. Small if few bytes can decode to many samples: it limits the decoded samples to a few tens of
   * megabytes for any content.
   */
  readonly chunkBytes: number;
  /** Duration from the header; undefined if unknown. */
  readonly declaredSeconds: number | undefined;
  /** Warnings about lost parts so far, for the caller. */
  readonly warnings: readonly string[];
  /** The decoded track; undefined until known. */
  readonly track: AudioTrackInfo | undefined;
  /** Maximum consecutive bytes without a sample. Absent: the reader's default. */
  readonly silentBytesMax?: number;
  /** True once the remaining content is irrelevant. */
  readonly finished: boolean;
  /** True while `more` can return blocks without a further chunk. Absent if `push` always returns everything. */
  readonly hasMore?: boolean;
  more?(): Promise<readonly DecodedBlock[]>;
  /** Decodes a chunk. Throws InferenceError AUDIO_UNREADABLE, or the library's errors. */
  push(chunk: Uint8Array): Promise<readonly DecodedBlock[]>;
  /** Marks the end and returns the buffered samples; `more` may return the rest. Called once. */
  finish(): Promise<readonly DecodedBlock[]>;
  /** Frees memory outside the JavaScript heap. */
  close(): void;
}
