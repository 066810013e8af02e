import { InferenceError } from '../../../errors.js';
import { type PacketDecoder, type PacketFormat, packetDecoder } from './packet-decoder.js';
import { SampleReader } from './samples.js';

/** Creates a decoder of uncompressed packets. A packet has complete frames; an incomplete one is dropped. */
export async function createPcmDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const { encoding } = format;
  if (encoding === undefined) throw new InferenceError('INTERNAL', 'PCM without a sample encoding.');
  return packetDecoder('PCM', async ({ data, timestampSeconds }) => {
    const block = new SampleReader(encoding, format.channelCount, format.sampleRateHz).push(data);
    return block === undefined ? [] : [{ ...block, timestampSeconds }];
  });
}
