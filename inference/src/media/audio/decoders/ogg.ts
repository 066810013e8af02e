import type { DecodedBlock, Decoder } from './decoder.js';
import { blockOf, ErrorCount } from './wasm.js';

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
  readonly errors: readonly { readonly message: string }[];
}

/** Vorbis or Opus in Ogg pages: libvorbis or libopus as WebAssembly. */
export class OggDecoder implements Decoder {
  readonly pieceBytes = PIECE_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();

  private constructor(
    private readonly wasm: WasmOgg,
    private readonly name: string,
  ) {}

  static async vorbis(): Promise<OggDecoder> {
    const { OggVorbisDecoder } = await import('@wasm-audio-decoders/ogg-vorbis');
    return OggDecoder.#ready(new OggVorbisDecoder(), 'Vorbis');
  }

  static async opus(): Promise<OggDecoder> {
    const { OggOpusDecoder } = await import('ogg-opus-decoder');
    return OggDecoder.#ready(new OggOpusDecoder({ forceStereo: false }), 'Opus');
  }

  static async #ready(wasm: WasmOgg, name: string): Promise<OggDecoder> {
    await wasm.ready;
    return new OggDecoder(wasm, name);
  }

  async push(piece: Uint8Array): Promise<readonly DecodedBlock[]> {
    return this.#take(await this.wasm.decode(piece));
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = this.#take(await this.wasm.flush());
    this.warnings.push(...this.#errors.warnings(this.name));
    return blocks;
  }

  close(): void {
    this.wasm.free();
  }

  #take(decoded: WasmOggDecoded): readonly DecodedBlock[] {
    this.#errors.add(decoded.errors);
    return blockOf(decoded);
  }
}
