import { InferenceError } from '../../../errors.js';
import { PACKET_CODECS } from './codecs.js';
import type { DecodedBlock } from './decoder.js';
import type { PacketDecoder } from './packet-decoder.js';
import { joinBytes } from './samples.js';
import type { WavFormat } from './wav-format.js';

/** Decoded at once: some hundred milliseconds of telephone speech. */
const PACKET_BYTES = 2_048;

/** The compressed body of a WAV: cut into packets of whole blocks, at places that depend on the content alone. */
export class WavPackets {
  #rest: Uint8Array = new Uint8Array(0);
  readonly #packetBytes: number;

  private constructor(
    private readonly decoder: PacketDecoder,
    blockBytes: number,
  ) {
    this.#packetBytes = blockBytes * Math.max(1, Math.floor(PACKET_BYTES / blockBytes));
  }

  /** Throws AUDIO_UNREADABLE, by name, for a codec that is not decoded. */
  static async create({
    codec,
    codecName,
    channelCount,
    sampleRateHz,
    blockBytes,
    body,
  }: WavFormat): Promise<WavPackets> {
    const create = PACKET_CODECS[codec].create;
    if (create === undefined) {
      throw new InferenceError(
        'AUDIO_UNREADABLE',
        `The WAV holds ${codecName}, which is not decoded. Convert it first.`,
      );
    }
    return new WavPackets(await create({ codec, sampleRateHz, channelCount, description: body }), blockBytes);
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

/** A WAV has no times: what is decoded follows what was. */
function untimed(blocks: readonly DecodedBlock[]): readonly DecodedBlock[] {
  return blocks.map(({ channels, sampleRateHz }) => ({ channels, sampleRateHz }));
}
