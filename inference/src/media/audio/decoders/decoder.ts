import type { AudioTrackInfo } from '../formats.js';

/** Samples as a decoder gives them: one array per channel, all of one length, nominally -1 to 1. */
export interface DecodedBlock {
  readonly channels: readonly Float32Array[];
  readonly sampleRateHz: number;
  /** Where the first of them stands in the audio; absent: right after what came before. */
  readonly timestampSeconds?: number | undefined;
}

/** One container and codec, fed in order in chunks of any size. Not for concurrent calls. */
export interface Decoder {
  /**
   * The largest chunk worth feeding at once: small where few bytes can stand for many samples, so that what is decoded
   * and not yet asked for stays within some tens of megabytes whatever the content claims.
   */
  readonly chunkBytes: number;
  /** How long the header says the audio is; undefined while unknown, or where the header does not say. */
  readonly declaredSeconds: number | undefined;
  /** What was lost so far, for the caller. */
  readonly warnings: readonly string[];
  /** What is decoded of the audio; undefined until it is known. */
  readonly track: AudioTrackInfo | undefined;
  /** So many bytes in a row without a sample end the audio. Absent: the opener's own limit. */
  readonly silentBytesMax?: number;
  /** True once nothing that follows can matter. */
  readonly finished: boolean;
  /** True while `more` has something without a further chunk. Absent where `push` always gives everything. */
  readonly hasMore?: boolean;
  more?(): Promise<readonly DecodedBlock[]>;
  /** Decodes one chunk. Throws InferenceError AUDIO_UNREADABLE, or whatever the library throws. */
  push(chunk: Uint8Array): Promise<readonly DecodedBlock[]>;
  /** Says that nothing follows and gives what was held back; `more` may have the rest. Called once. */
  finish(): Promise<readonly DecodedBlock[]>;
  /** Frees what is outside the JavaScript heap. */
  close(): void;
}
