import type { MPEGDecodedAudio, MPEGDecoder as WasmMpeg } from 'mpg123-decoder';
import type { DecodedBlock, Decoder } from './decoder.js';
import { blockOf, ErrorCount } from './wasm.js';

const PIECE_BYTES = 4_096;

/** MPEG audio layers 1 to 3: libmpg123 as WebAssembly. Passes over ID3 tags and undoes the encoder's delay. */
export class Mp3Decoder implements Decoder {
  readonly pieceBytes = PIECE_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();

  private constructor(private readonly wasm: WasmMpeg) {}

  static async create(): Promise<Mp3Decoder> {
    const { MPEGDecoder: Wasm } = await import('mpg123-decoder');
    const wasm = new Wasm();
    await wasm.ready;
    return new Mp3Decoder(wasm);
  }

  async push(piece: Uint8Array): Promise<readonly DecodedBlock[]> {
    const decoded: MPEGDecodedAudio = this.wasm.decode(piece);
    this.#errors.add(decoded.errors);
    return blockOf(decoded);
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    this.warnings.push(...this.#errors.warnings('MP3'));
    return [];
  }

  close(): void {
    this.wasm.free();
  }
}
