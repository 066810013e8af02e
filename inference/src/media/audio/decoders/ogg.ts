import type { AudioTrackInfo } from '../formats.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { type OggCodec, OggPages } from './ogg-pages.js';
import { blockOf, ErrorCount, flacBlockOf } from './wasm.js';

/** Small, because a page of 282 bytes can have 255 packets of up to 8,192 samples per channel. */
const CHUNK_BYTES = 1_024;

interface WasmOgg {
  readonly ready: Promise<void>;
  decode(data: Uint8Array): Promise<WasmOggDecoded> | WasmOggDecoded;
  flush(): Promise<WasmOggDecoded>;
  free(): void;
}
interface WasmOggDecoded {
  readonly channelData: readonly Float32Array[];
  readonly samplesDecoded: number;
  readonly sampleRate: number;
  /** Only meaningful for FLAC; Vorbis always reports 16. */
  readonly bitDepth?: number;
  readonly errors: readonly { readonly message: string }[];
}

const LIBRARIES = {
  vorbis: async () => new (await import('@wasm-audio-decoders/ogg-vorbis')).OggVorbisDecoder(),
  opus: async () => new (await import('ogg-opus-decoder')).OggOpusDecoder({ forceStereo: false }),
  flac: async () => new (await import('@wasm-audio-decoders/flac')).FLACDecoder(),
} satisfies Record<OggCodec, () => Promise<WasmOgg>>;
const NAMES = { vorbis: 'Vorbis', opus: 'Opus', flac: 'FLAC' } as const satisfies Record<OggCodec, string>;

/**
 * Decodes Vorbis, Opus or FLAC in Ogg: libvorbis, libopus or libFLAC as WebAssembly. Chained streams are decoded sequentially,
 * each with a new decoder.
 */
export class OggDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  readonly #pages = new OggPages();
  #stream: { readonly codec: OggCodec; readonly wasm: WasmOgg } | undefined;
  #first: OggCodec | undefined;

  get track(): AudioTrackInfo | undefined {
    return this.#first && { index: 0, codec: NAMES[this.#first], language: '' };
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    for (const { bytes, begins } of this.#pages.push(chunk)) {
      if (begins !== undefined) blocks.push(...(await this.#begin(begins)));
      if (this.#stream !== undefined) blocks.push(...this.#take(await this.#stream.wasm.decode(bytes)));
    }
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#end();
    this.warnings.push(...this.#pages.warnings(), ...this.#errors.warnings(NAMES[this.#first ?? 'opus']));
    return blocks;
  }

  close(): void {
    this.#stream?.wasm.free();
    this.#stream = undefined;
  }

  /** Starts a stream, after flushing the previous one. */
  async #begin(codec: OggCodec): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#end();
    const wasm: WasmOgg = await LIBRARIES[codec]();
    await wasm.ready;
    this.#stream = { codec, wasm };
    this.#first ??= codec;
    return blocks;
  }

  async #end(): Promise<readonly DecodedBlock[]> {
    if (this.#stream === undefined) return [];
    const blocks = this.#take(await this.#stream.wasm.flush());
    this.close();
    return blocks;
  }

  #take(decoded: WasmOggDecoded): readonly DecodedBlock[] {
    this.#errors.add(decoded.errors);
    const { bitDepth } = decoded;
    const flac = this.#stream?.codec === 'flac' && bitDepth !== undefined;
    return flac ? flacBlockOf({ ...decoded, bitDepth }) : blockOf(decoded);
  }
}
