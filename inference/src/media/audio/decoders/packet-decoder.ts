import type { DecodedBlock } from './decoder.js';
import { ErrorCount } from './error-count.js';
import type { SampleEncoding } from './samples.js';

/** Codecs of packets. */
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

/** The container's description of a track's packets. */
export interface PacketFormat {
  readonly codec: PacketCodec;
  /** From the container; the packets' own value takes precedence. */
  readonly sampleRateHz: number;
  /** 1 to 32. */
  readonly channelCount: number;
  /**
   * The codec's configuration from the container, without the container's headers. AAC: AudioSpecificConfig; absent in ADTS,
   * whose packets have headers. Opus: OpusHead. Vorbis: the three headers with Xiph lacing. FLAC: `fLaC` and its metadata
   * blocks. ALAC: ALACSpecificConfig, 24 bytes or more ("magic cookie"). ADPCM and GSM: the body of a WAV's
   * `fmt ` chunk. Absent: AC-3, E-AC-3, MP3.
   */
  readonly description: Uint8Array | undefined;
  /** Sample encoding; only for PCM. */
  readonly encoding?: SampleEncoding;
}

/** A packet (access unit) of a track. For ADPCM and GSM: one or more blocks; the last may be incomplete. */
export interface AudioPacket {
  readonly data: Uint8Array;
  /** Time of its first sample. May be negative: an encoder's delay before the beginning. */
  readonly timestampSeconds: number;
  /** From the container; 0 if unknown. */
  readonly durationSeconds: number;
}

/** Decoded samples with the time of the first one. */
export interface TimedBlock extends DecodedBlock {
  readonly timestampSeconds: number;
}

/** Decodes the packets of a track, in order. Not for concurrent calls. */
export interface PacketDecoder {
  /**
   * Adds a packet and returns the available blocks, in order: none while the decoder collects packets, then several. Missing
   * blocks (of a packet that cannot be decoded) become silence by their time. A damaged packet does not throw: it is counted in
   * `warnings`. Throws InferenceError AUDIO_UNREADABLE if no packet of this kind can be decoded.
   */
  decode(packet: AudioPacket): Promise<readonly TimedBlock[]>;
  /** Returns the buffered blocks. Called once, after the last packet. */
  flush(): Promise<readonly TimedBlock[]>;
  /** Warnings about lost parts so far, for the caller. */
  readonly warnings: readonly string[];
  /** Frees memory outside the JavaScript heap. Idempotent. */
  close(): void;
}

/** Loads the codec's library. Throws InferenceError AUDIO_UNREADABLE with the name of an unsupported variant. */
export type CreatePacketDecoder = (format: PacketFormat) => Promise<PacketDecoder>;

/** A decoder that returns the blocks of each packet at once. `name`: in warnings; `free`: called once. */
export function packetDecoder(
  name: string,
  decode: (packet: AudioPacket, damaged: ErrorCount) => Promise<readonly TimedBlock[]>,
  free = () => {},
): PacketDecoder {
  const damaged = new ErrorCount();
  let open = true;
  return {
    get warnings() {
      return damaged.warnings(name);
    },
    decode: (packet) => decode(packet, damaged),
    flush: async () => [],
    close: () => {
      if (open) free();
      open = false;
    },
  };
}
