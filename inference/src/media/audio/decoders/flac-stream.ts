import type { FLACDecodedAudio, FLACDecoder as WasmFlac } from '@wasm-audio-decoders/flac';
import type { DecodedBlock } from './decoder.js';
import { ErrorCount, flacBlockOf } from './wasm.js';

/** Size of `fLaC`, the 4-byte block header, and STREAMINFO up to its 36-bit sample count. */
const STREAM_INFO_BYTES = 26;
/**
 * A frame header appended to the end, never decoded. The library treats a frame as complete when it sees the next header, and
 * otherwise loses a short last frame.
 */
const HEADER_AFTER_THE_END = [0xff, 0xf8, 0xc5, 0x08, 0x00, 0x6f];
const HEADER_ROOM_BYTES = 32;

/** Decodes one native FLAC stream: libFLAC as WebAssembly. */
export class FlacStream {
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  #head = new Uint8Array(0);
  #declared: { readonly samples: number; readonly sampleRateHz: number } | undefined;
  #decodedSamples = 0;
  #closed = false;

  private constructor(private readonly wasm: WasmFlac) {}

  static async create(): Promise<FlacStream> {
    const { FLACDecoder: Wasm } = await import('@wasm-audio-decoders/flac');
    const wasm = new Wasm();
    await wasm.ready;
    return new FlacStream(wasm);
  }

  get declaredSeconds(): number | undefined {
    return this.#declared === undefined ? undefined : this.#declared.samples / this.#declared.sampleRateHz;
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    this.#readStreamInfo(chunk);
    return this.#take(await this.wasm.decode(chunk));
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = [...(await this.#finishLastFrame()), ...this.#take(await this.wasm.flush())];
    const lost = (this.#declared?.samples ?? 0) - this.#decodedSamples;
    if (lost > 0 && this.#declared !== undefined) {
      const seconds = (lost / this.#declared.sampleRateHz).toFixed(2);
      this.warnings.push(`${seconds} s declared in the FLAC header are missing or damaged.`);
    } else {
      this.warnings.push(...this.#errors.warnings('FLAC'));
    }
    return blocks;
  }

  async #finishLastFrame(): Promise<readonly DecodedBlock[]> {
    const end = new Uint8Array(HEADER_ROOM_BYTES);
    end.set(HEADER_AFTER_THE_END);
    return this.#take(await this.wasm.decode(end));
  }

  /** Idempotent. */
  close(): void {
    if (!this.#closed) this.wasm.free();
    this.#closed = true;
  }

  #take(decoded: FLACDecodedAudio): readonly DecodedBlock[] {
    this.#errors.add(decoded.errors);
    this.#decodedSamples += decoded.samplesDecoded;
    return flacBlockOf(decoded);
  }

  #readStreamInfo(chunk: Uint8Array): void {
    if (this.#head.length >= STREAM_INFO_BYTES) return;
    const head = new Uint8Array(Math.min(STREAM_INFO_BYTES, this.#head.length + chunk.length));
    head.set(this.#head);
    head.set(chunk.subarray(0, head.length - this.#head.length), this.#head.length);
    this.#head = head;
    if (head.length < STREAM_INFO_BYTES || head[0] !== 0x66) return;
    const view = new DataView(head.buffer);
    const sampleRateHz = view.getUint32(18) >>> 12;
    const samples = (view.getUint8(21) & 0x0f) * 2 ** 32 + view.getUint32(22);
    if (samples > 0 && sampleRateHz > 0) this.#declared = { samples, sampleRateHz };
  }
}
