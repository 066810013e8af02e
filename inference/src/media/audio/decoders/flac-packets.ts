import type { AudioPacket, PacketDecoder, TimedBlock } from './packet-decoder.js';
import { ErrorCount, flacBlockOf } from './wasm.js';

/** Creates a decoder of FLAC frames in other containers: libFLAC as WebAssembly. */
export async function createFlacPacketDecoder(): Promise<PacketDecoder> {
  const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
  const wasm = new FLACDecoder();
  await wasm.ready;
  const errors = new ErrorCount();
  let open = true;
  return {
    get warnings() {
      return errors.warnings('FLAC');
    },
    decode: async ({ data, timestampSeconds }: AudioPacket): Promise<readonly TimedBlock[]> => {
      if (data.length === 0) return [];
      const decoded = await wasm.decodeFrames([data]);
      errors.add(decoded.errors);
      return flacBlockOf(decoded).map((block) => ({ ...block, timestampSeconds }));
    },
    flush: async () => [],
    close: () => {
      if (open) wasm.free();
      open = false;
    },
  };
}
