import { joinBytes } from '../../bytes.js';
import { PACKET_CODECS } from './codecs.js';
import type { DecodedBlock } from './decoder.js';
import type { PacketCodec, PacketDecoder, PacketFormat } from './packet-decoder.js';

/** Bytes per packet: a few hundred milliseconds of telephone speech. */
const PACKET_BYTES = 2_048;

/** The format of the compressed data of a WAV. */
export interface WavPacketFormat {
  readonly codec: PacketCodec;
  readonly blockBytes: number;
  /** The whole `fmt ` chunk. */
  readonly description: Uint8Array;
}

/** Splits the compressed data of a WAV into packets of complete blocks, independent of how it arrives. */
export class WavPackets {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #packetBytes: number;

  private constructor(
    private readonly decoder: PacketDecoder,
    blockBytes: number,
  ) {
    this.#packetBytes = blockBytes * Math.max(1, Math.floor(PACKET_BYTES / blockBytes));
  }

  /** Throws AUDIO_UNREADABLE with the name of an unsupported variant of the codec. */
  static async create(format: WavPacketFormat & PacketFormat): Promise<WavPackets> {
    return new WavPackets(await PACKET_CODECS[format.codec].create(format), format.blockBytes);
  }

  get warnings(): readonly string[] {
    return this.decoder.warnings;
  }

  async push(bytes: Uint8Array): Promise<readonly DecodedBlock[]> {
    this.#rest = joinBytes(this.#rest, bytes);
    const blocks: DecodedBlock[] = [];
    while (this.#rest.length >= this.#packetBytes) {
      blocks.push(...(await this.#decode(this.#rest.slice(0, this.#packetBytes))));
      this.#rest = this.#rest.subarray(this.#packetBytes);
    }
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = this.#rest.length === 0 ? [] : await this.#decode(this.#rest.slice());
    this.#rest = new Uint8Array(0);
    return [...blocks, ...untimed(await this.decoder.flush())];
  }

  close(): void {
    this.decoder.close();
  }

  async #decode(data: Uint8Array): Promise<readonly DecodedBlock[]> {
    return untimed(await this.decoder.decode({ data, timestampSeconds: 0, durationSeconds: 0 }));
  }
}

/** Removes the times, which a WAV does not have: each block follows the previous one. */
function untimed(blocks: readonly DecodedBlock[]): readonly DecodedBlock[] {
  return blocks.map(({ channels, sampleRateHz }) => ({ channels, sampleRateHz }));
}
