import { readAlacConfig } from './alac-config.js';
import { decodeAlacPacket } from './alac-packet.js';
import type { AudioPacket, PacketDecoder, PacketFormat, TimedBlock } from './packet-decoder.js';
import { ErrorCount } from './wasm.js';

/** Creates an Apple Lossless decoder, after Apple's open source one. Uses the values of the configuration, not the container's. */
export async function createAlacDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const config = readAlacConfig(format);
  const damaged = new ErrorCount();
  const scale = 2 ** (config.bitDepth - 1);
  return {
    get warnings() {
      return damaged.warnings('ALAC');
    },
    decode: async ({ data, timestampSeconds }: AudioPacket): Promise<readonly TimedBlock[]> => {
      const decoded = decodeAlacPacket(data, config);
      if (decoded === undefined) {
        damaged.add([timestampSeconds]);
        return [];
      }
      const channels = decoded.map((samples) => Float32Array.from(samples, (sample) => sample / scale));
      return [{ channels, sampleRateHz: config.sampleRateHz, timestampSeconds }];
    },
    flush: async () => [],
    close: () => {},
  };
}
