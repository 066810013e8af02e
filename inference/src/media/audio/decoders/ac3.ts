import { InferenceError } from '../../../errors.js';
import { unsupportedFormat } from '../formats.js';
import { type Ac3Library, loadAc3Library } from './ac3-library.js';
import type { DecodedBlock } from './decoder.js';
import type { ErrorCount } from './error-count.js';
import {
  type AudioPacket,
  type PacketDecoder,
  type PacketFormat,
  packetDecoder,
  type TimedBlock,
} from './packet-decoder.js';

/** FFmpeg's sample format of planar floats. */
const PLANES_OF_FLOATS = 8;
/** Maximum frame size of E-AC-3; AC-3's are smaller. */
const FRAME_MAX_BYTES = 4_096;
/** An independent frame and eight dependent ones. */
const PACKET_MAX_BYTES = 6 * 9 * FRAME_MAX_BYTES;
const FRAME_MAX_SAMPLES = 1_536;

/** Creates a decoder of AC-3 and E-AC-3: FFmpeg as WebAssembly. */
export async function createAc3Decoder({ codec }: PacketFormat): Promise<PacketDecoder> {
  const library = await loadAc3Library();
  const context = library._init_decoder(codec === 'eac3' ? 1 : 0);
  if (context === 0) throw new InferenceError('INTERNAL', 'The AC-3 decoder did not start.');
  const decode = async (
    { data, timestampSeconds }: AudioPacket,
    damaged: ErrorCount,
  ): Promise<readonly TimedBlock[]> => {
    const blocks: TimedBlock[] = [];
    let seconds = timestampSeconds;
    for (const frame of codec === 'eac3' ? independentFrames(data) : [data]) {
      const block = decodeFrame(library, context, frame);
      if (block === undefined) {
        damaged.add([frame.length]);
        continue;
      }
      blocks.push({ ...block, timestampSeconds: seconds });
      seconds += (block.channels[0]?.length ?? 0) / block.sampleRateHz;
    }
    return blocks;
  };
  return packetDecoder(codec === 'eac3' ? 'E-AC-3' : 'AC-3', decode, () => library._close_decoder(context));
}

function decodeFrame(library: Ac3Library, context: number, frame: Uint8Array): DecodedBlock | undefined {
  if (frame.length === 0 || frame.length > PACKET_MAX_BYTES) return undefined;
  const pointer = library._configure_decode_packet(context, frame.length);
  if (pointer === 0) return undefined;
  library.HEAPU8.set(frame, pointer);
  if (library._decode_packet(context, 0n) < 0) return undefined;
  const sampleRateHz = library._get_decoded_sample_rate(context);
  const channelCount = library._get_decoded_channels(context);
  const count = library._get_decoded_sample_count(context);
  if (library._get_decoded_format(context) !== PLANES_OF_FLOATS || count < 1 || count > FRAME_MAX_SAMPLES)
    return undefined;
  if (unsupportedFormat(channelCount, sampleRateHz) !== undefined) return undefined;
  const channels = Array.from({ length: channelCount }, (_, channel) => {
    const from = library._get_decoded_plane_ptr(context, channel);
    return new Float32Array(library.HEAPU8.slice(from, from + 4 * count).buffer);
  });
  return { channels, sampleRateHz };
}

/**
 * Splits an E-AC-3 packet into its independent frames (ETSI TS 102 366, E.1.3.1.1), each with its dependent ones: one is decoded
 * at a time. Data that does not begin like a frame stays with the preceding one.
 */
function independentFrames(data: Uint8Array): readonly Uint8Array[] {
  const starts: number[] = [0];
  let at = 0;
  while (at + 5 <= data.length && data[at] === 0x0b && data[at + 1] === 0x77) {
    const header = ((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0);
    const isDependent = header >> 14 === 1;
    if (at > 0 && !isDependent) starts.push(at);
    at += 2 * ((header & 0x7ff) + 1);
  }
  return starts.map((start, index) => data.subarray(start, starts[index + 1]));
}
