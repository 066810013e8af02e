import type { MPEGDecodedAudio, MPEGDecoder as WasmMpeg } from 'mpg123-decoder';
import type { DecodedBlock, Decoder } from './decoder.js';
import { MpegWalk } from './mpeg-walk.js';
import { blockOf, ErrorCount } from './wasm.js';

const PIECE_BYTES = 4_096;

/** MPEG audio layers 1 to 3: libmpg123 as WebAssembly. Passes over ID3 tags and undoes the encoder's delay. */
export class Mp3Decoder implements Decoder {
  readonly pieceBytes = PIECE_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  readonly #walk = new MpegWalk();

  private constructor(private readonly wasm: WasmMpeg) {}

  static async create(): Promise<Mp3Decoder> {
    const { MPEGDecoder: Wasm } = await import('mpg123-decoder');
    const wasm = new Wasm();
    await wasm.ready;
    return new Mp3Decoder(wasm);
  }

  async push(piece: Uint8Array): Promise<readonly DecodedBlock[]> {
    this.#walk.push(piece);
    const decoded: MPEGDecodedAudio = this.wasm.decode(piece);
    this.#errors.add(decoded.errors);
    return blockOf(decoded);
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const missing = this.#walk.missing();
    this.warnings.push(...this.#errors.warnings('MP3'), ...(missing === undefined ? [] : [missing]));
    return [];
  }

  close(): void {
    this.wasm.free();
  }
}
