import type { DecodedBlock } from './decoder.js';
import type { SampleEncoding } from './samples.js';

/** What packets can be coded with. A codec without a decoder is refused by its name. */
export type PacketCodec =
  | 'aac'
  | 'opus'
  | 'vorbis'
  | 'mp3'
  | 'flac'
  | 'pcm'
  | 'alac'
  | 'ac3'
  | 'eac3'
  | 'adpcm-ms'
  | 'adpcm-ima'
  | 'gsm';

/** What the container says of a track's packets. */
export interface PacketFormat {
  readonly codec: PacketCodec;
  /** The container's claim; what the packets themselves say is the truth where a codec's packets say it. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
  /**
   * The codec's setup as the container holds it, without the container's own headers. AAC: AudioSpecificConfig; absent in
   * ADTS, whose packets carry their headers. Opus: OpusHead. Vorbis: the three headers with Xiph lacing. FLAC: `fLaC` and
   * its metadata blocks. ALAC: ALACSpecificConfig, 24 bytes or more ("magic cookie"). ADPCM and GSM of WAV: the body of the
   * `fmt ` chunk. Absent: AC-3, E-AC-3, MP3.
   */
  readonly description: Uint8Array | undefined;
  /** How samples are written; of PCM alone. */
  readonly encoding?: SampleEncoding;
}

/** One packet (an access unit) of a track. Of ADPCM and GSM: one or more whole blocks; the last may be cut. */
export interface AudioPacket {
  readonly data: Uint8Array;
  /** Where its first sample stands in the audio. May be negative: an encoder's delay before the beginning. */
  readonly timestampSeconds: number;
  /** The container's claim; 0 where it makes none. */
  readonly durationSeconds: number;
}

/** Decoded samples and where the first of them stands in the audio. */
export interface TimedBlock extends DecodedBlock {
  readonly timestampSeconds: number;
}

/** Decodes the packets of one track, in order. Not for concurrent calls. */
export interface PacketDecoder {
  /**
   * What can be given now: nothing while the decoder gathers packets, several blocks after that. Blocks come in order. What
   * is not in them (a packet that cannot be decoded) becomes silence by its time. A damaged packet does not throw: it is
   * counted in `warnings`. Throws InferenceError AUDIO_UNREADABLE where no packet of this kind can be decoded.
   */
  decode(packet: AudioPacket): Promise<readonly TimedBlock[]>;
  /** What was held back. Called once, after the last packet. */
  flush(): Promise<readonly TimedBlock[]>;
  /** What was lost so far: a sentence each, for the caller. */
  readonly warnings: readonly string[];
  /** Frees what is outside the JavaScript heap. Idempotent. */
  close(): void;
}

/** Loads the codec's library. Throws InferenceError AUDIO_UNREADABLE, by name, for a variant that is not decoded. */
export type CreatePacketDecoder = (format: PacketFormat) => Promise<PacketDecoder>;
