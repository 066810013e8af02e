import { InferenceError } from '../../../errors.js';
import type { AudioPacket, PacketDecoder, PacketFormat, TimedBlock } from './packet-decoder.js';
import { SampleReader } from './samples.js';

/** Creates a decoder of uncompressed packets. A packet has complete frames; an incomplete one is dropped. */
export async function createPcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { encoding } = format;
  if (encoding === undefined) throw new InferenceError('INTERNAL', 'PCM without a sample encoding.');
  return {
    warnings: [],
    decode: async (packet: AudioPacket): Promise<readonly TimedBlock[]> => {
      const block = new SampleReader(encoding, format.channelCount, format.sampleRateHz).push(packet.data);
      return block === undefined ? [] : [{ ...block, timestampSeconds: packet.timestampSeconds }];
    },
    flush: async () => [],
    close: () => {},
  };
}
