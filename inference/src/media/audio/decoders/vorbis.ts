import { audioUnreadable } from '../undecodable.js';
import type { PacketDecoder, PacketFormat } from './packet-decoder.js';
import { type WasmDecoded, type WithErrors, wasmPacketDecoder } from './wasm.js';

/** The library's inner module, which accepts packets; its public API accepts only Ogg pages. Checked by the tests, for 0.1.20. */
interface VorbisPackets {
  sendSetupHeader(header: Uint8Array): void;
  initDsp(): void;
  decodePackets(packets: readonly Uint8Array[]): WithErrors<WasmDecoded>;
}
/** Size of the library's buffer. */
const PACKET_MAX_BYTES = 128 * 1_024;

/** Creates a decoder of Vorbis packets in other containers: libvorbis as WebAssembly. */
export async function createVorbisDecoder(format: PacketFormat): Promise<PacketDecoder> {
  const [identification, , setup] = vorbisHeaders(format.description);
  const { OggVorbisDecoder } = await import('@wasm-audio-decoders/ogg-vorbis');
  const wasm = new OggVorbisDecoder();
  await wasm.ready;
  const packets = (wasm as unknown as { readonly _decoder: VorbisPackets })._decoder;
  packets.sendSetupHeader(identification);
  packets.sendSetupHeader(setup);
  packets.initDsp();
  return wasmPacketDecoder('Vorbis', wasm, (data) =>
    data.length > PACKET_MAX_BYTES ? undefined : packets.decodePackets([data]),
  );
}

type Headers = readonly [identification: Uint8Array, comments: Uint8Array, setup: Uint8Array];

/** Size of the first of the headers. */
const IDENTIFICATION_BYTES = 30;

function vorbisHeaders(description: Uint8Array | undefined): Headers {
  const bytes = description ?? new Uint8Array(0);
  const headers = bytes[0] === 0 && bytes[1] === IDENTIFICATION_BYTES ? sizedHeaders(bytes) : lacedHeaders(bytes);
  const sound = headers.every((header, index) => header[0] === 2 * index + 1 && header.length <= PACKET_MAX_BYTES);
  if (!sound) throw audioUnreadable('The Vorbis headers are damaged.');
  return headers;
}

/** Splits the headers in GPAC's MP4: the size of each is in front of it, in two bytes. */
function sizedHeaders(bytes: Uint8Array): Headers {
  let at = 0;
  const next = () => {
    const start = at + 2;
    at = start + (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0));
    return bytes.subarray(start, at);
  };
  return [next(), next(), next()];
}

/** Splits the headers in Matroska's Xiph lacing: their number minus one, the sizes of all but the last in 255s. */
function lacedHeaders(bytes: Uint8Array): Headers {
  const sizes: number[] = [];
  let at = 1;
  while (bytes[0] === 2 && sizes.length < 2 && at < bytes.length) {
    let size = 0;
    let lacing: number;
    do {
      lacing = bytes[at++] ?? 0;
      size += lacing;
    } while (lacing === 255);
    sizes.push(size);
  }
  const [first = 0, second = 0] = sizes;
  return [
    bytes.subarray(at, at + first),
    bytes.subarray(at + first, at + first + second),
    bytes.subarray(at + first + second),
  ];
}
