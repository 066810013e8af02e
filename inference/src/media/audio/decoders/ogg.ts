import type { DecodedBlock, Decoder } from './decoder.js';
import { type OggCodec, OggPages } from './ogg-pages.js';
import { blockOf, ErrorCount, flacBlockOf } from './wasm.js';

/** A page of 282 bytes can stand for 255 packets of up to 8,192 samples of each channel, so pieces are small. */
const PIECE_BYTES = 1_024;

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
  /** True of FLAC alone; Vorbis has none, and says 16. */
  readonly bitDepth?: number;
  readonly errors: readonly { readonly message: string }[];
}

/** Vorbis, Opus or FLAC in Ogg pages: libvorbis, libopus or libFLAC as WebAssembly. */
export class OggDecoder implements Decoder {
  readonly pieceBytes = PIECE_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();

  readonly #pages: OggPages;

  private constructor(
    private readonly wasm: WasmOgg,
    private readonly codec: OggCodec,
  ) {
    this.#pages = new OggPages(codec);
  }

  static async vorbis(): Promise<OggDecoder> {
    const { OggVorbisDecoder } = await import('@wasm-audio-decoders/ogg-vorbis');
    return OggDecoder.#ready(new OggVorbisDecoder(), 'vorbis');
  }

  static async opus(): Promise<OggDecoder> {
    const { OggOpusDecoder } = await import('ogg-opus-decoder');
    return OggDecoder.#ready(new OggOpusDecoder({ forceStereo: false }), 'opus');
  }

  static async flac(): Promise<OggDecoder> {
    const { FLACDecoder } = await import('@wasm-audio-decoders/flac');
    return OggDecoder.#ready(new FLACDecoder(), 'flac');
  }

  static async #ready(wasm: WasmOgg, codec: OggCodec): Promise<OggDecoder> {
    await wasm.ready;
    return new OggDecoder(wasm, codec);
  }

  async push(piece: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    for (const page of this.#pages.push(piece)) blocks.push(...this.#take(await this.wasm.decode(page)));
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = this.#take(await this.wasm.flush());
    this.warnings.push(...this.#pages.warnings(), ...this.#errors.warnings(this.codec));
    return blocks;
  }

  close(): void {
    this.wasm.free();
  }

  #take(decoded: WasmOggDecoded): readonly DecodedBlock[] {
    this.#errors.add(decoded.errors);
    const { bitDepth } = decoded;
    return this.codec === 'flac' && bitDepth !== undefined ? flacBlockOf({ ...decoded, bitDepth }) : blockOf(decoded);
  }
}
