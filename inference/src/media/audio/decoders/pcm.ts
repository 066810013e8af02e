import { InferenceError } from '../../../errors.js';
import type { AudioPacket, PacketDecoder, PacketFormat, TimedBlock } from './packet-decoder.js';
import { SampleReader } from './samples.js';

/** Packets of samples as they are: a packet holds whole frames; what is left of one is not read. */
export async function createPcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { encoding } = format;
  if (encoding === undefined) throw new InferenceError('INTERNAL', 'PCM was to be decoded without an encoding.');
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
