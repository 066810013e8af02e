import { readAlacConfig } from './alac-config.js';
import { decodeAlacPacket } from './alac-packet.js';
import { type PacketDecoder, type PacketFormat, packetDecoder } from './packet-decoder.js';

/** Creates an Apple Lossless decoder, after Apple's open source one. Uses the values of the configuration, not the container's. */
export async function createAlacDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const config = readAlacConfig(format);
  const scale = 2 ** (config.bitDepth - 1);
  return packetDecoder('ALAC', async ({ data, timestampSeconds }, damaged) => {
    const decoded = decodeAlacPacket(data, config);
    if (decoded === undefined) {
      damaged.add([timestampSeconds]);
      return [];
    }
    const channels = decoded.map((samples) => Float32Array.from(samples, (sample) => sample / scale));
    return [{ channels, sampleRateHz: config.sampleRateHz, timestampSeconds }];
  });
}
