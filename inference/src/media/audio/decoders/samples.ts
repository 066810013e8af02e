import { joinBytes, viewOf } from '../../bytes.js';
import type { DecodedBlock } from './decoder.js';

/** Sample encodings: little endian, big endian with `be`; `u8` is offset by 128, as in WAV. */
export type SampleEncoding =
  | ('u8' | 's8' | 's16' | 's24' | 's32' | 'f32' | 'f64' | 'alaw' | 'ulaw')
  | ('s16be' | 's24be' | 's32be' | 'f32be' | 'f64be');

type ReadSample = (view: DataView, offset: number) => number;

/** ITU-T G.711, A-law: sign, three bits of exponent, four of mantissa, even bits inverted. */
function expandALaw(code: number): number {
  const bits = code ^ 0x55;
  const exponent = (bits & 0x70) >> 4;
  const mantissa = ((bits & 0x0f) << 4) + 8;
  const magnitude = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
  return bits & 0x80 ? magnitude : -magnitude;
}

/** ITU-T G.711, mu-law: all bits inverted, with a bias of 132. */
function expandMuLaw(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4)) - 0x84;
  return bits & 0x80 ? -magnitude : magnitude;
}

const READERS = {
  u8: { bytes: 1, read: (view, offset) => (view.getUint8(offset) - 128) / 128 },
  s8: { bytes: 1, read: (view, offset) => view.getInt8(offset) / 128 },
  s16: { bytes: 2, read: (view, offset) => view.getInt16(offset, true) / 32_768 },
  s24: {
    bytes: 3,
    read: (view, offset) => ((view.getInt8(offset + 2) << 16) | view.getUint16(offset, true)) / 8_388_608,
  },
  s32: { bytes: 4, read: (view, offset) => view.getInt32(offset, true) / 2_147_483_648 },
  f32: { bytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  f64: { bytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
  s16be: { bytes: 2, read: (view, offset) => view.getInt16(offset) / 32_768 },
  s24be: {
    bytes: 3,
    read: (view, offset) => ((view.getInt16(offset) << 8) | view.getUint8(offset + 2)) / 8_388_608,
  },
  s32be: { bytes: 4, read: (view, offset) => view.getInt32(offset) / 2_147_483_648 },
  f32be: { bytes: 4, read: (view, offset) => view.getFloat32(offset) },
  f64be: { bytes: 8, read: (view, offset) => view.getFloat64(offset) },
  alaw: { bytes: 1, read: (view, offset) => expandALaw(view.getUint8(offset)) / 32_768 },
  ulaw: { bytes: 1, read: (view, offset) => expandMuLaw(view.getUint8(offset)) / 32_768 },
} satisfies Record<SampleEncoding, { bytes: number; read: ReadSample }>;

/** Whether this is the name of an encoding. */
export function isSampleEncoding(name: string): name is SampleEncoding {
  return Object.hasOwn(READERS, name);
}

/** Returns the size of a sample in bytes. */
export function sampleBytes(encoding: SampleEncoding): number {
  return READERS[encoding].bytes;
}

/** Reads interleaved samples from chunks of any size; a frame across two chunks is buffered. */
export class SampleReader {
  readonly #read: ReadSample;
  readonly #sampleBytes: number;
  readonly #frameBytes: number;
  #rest = new Uint8Array(0);

  constructor(
    encoding: SampleEncoding,
    private readonly channelCount: number,
    private readonly sampleRateHz: number,
  ) {
    this.#read = READERS[encoding].read;
    this.#sampleBytes = READERS[encoding].bytes;
    this.#frameBytes = this.#sampleBytes * channelCount;
  }

  /** Number of bytes of the incomplete frame. */
  get restBytes(): number {
    return this.#rest.length;
  }

  /** Returns the complete frames; undefined if there is none. */
  push(chunk: Uint8Array): DecodedBlock | undefined {
    const bytes = this.#rest.length === 0 ? chunk : joinBytes(this.#rest, chunk);
    const frameCount = Math.floor(bytes.length / this.#frameBytes);
    this.#rest = bytes.slice(frameCount * this.#frameBytes);
    if (frameCount === 0) return undefined;
    const view = viewOf(bytes);
    const channels = Array.from({ length: this.channelCount }, (_, channel) => {
      const samples = new Float32Array(frameCount);
      let offset = channel * this.#sampleBytes;
      for (let frame = 0; frame < frameCount; frame++, offset += this.#frameBytes) {
        samples[frame] = this.#read(view, offset);
      }
      return samples;
    });
    return { channels, sampleRateHz: this.sampleRateHz };
  }
}
