import type { AudioPacket, PacketDecoder, TimedBlock } from './packet-decoder.js';
import { blockOf, ErrorCount } from './wasm.js';

/** Creates a decoder of MPEG audio frames, layers 1 to 3, in other containers: libmpg123 as WebAssembly. */
export async function createMp3PacketDecoder(): Promise<PacketDecoder> {
  const { MPEGDecoder } = await import('mpg123-decoder');
  // The container's times show gaps, and there is no Xing header in it.
  const wasm = new MPEGDecoder({ enableGapless: false });
  await wasm.ready;
  const errors = new ErrorCount();
  let open = true;
  return {
    get warnings() {
      return errors.warnings('MP3');
    },
    decode: async ({ data, timestampSeconds }: AudioPacket): Promise<readonly TimedBlock[]> => {
      if (data.length === 0) return [];
      const decoded = wasm.decode(data);
      errors.add(decoded.errors);
      return blockOf(decoded).map((block) => ({ ...block, timestampSeconds }));
    },
    flush: async () => [],
    close: () => {
      if (open) wasm.free();
      open = false;
    },
  };
}
