import type { PacketDecoder } from './packet-decoder.js';
import { flacBlockOf, wasmPacketDecoder } from './wasm.js';

/** Creates a decoder of FLAC frames in other containers: libFLAC as WebAssembly. */
export async function createFlacPacketDecoder(): Promise<PacketDecoder> {
  const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
  const wasm = new FLACDecoder();
  await wasm.ready;
  return wasmPacketDecoder('FLAC', wasm, (data) => wasm.decodeFrames([data]), flacBlockOf);
}
