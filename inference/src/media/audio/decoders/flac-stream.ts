import type { FLACDecoder as WasmFlac } from '@wasm-audio-decoders/flac';
import { joinBytes } from '../../bytes.js';
import type { DecodedBlock } from './decoder.js';
import { ErrorCount } from './error-count.js';
import { type FlacFrame, FlacFrames } from './flac-frames.js';
import { flacBlockOf } from './wasm.js';

/** Size of `fLaC`, the 4-byte block header, and STREAMINFO. */
const STREAM_INFO_BYTES = 42;
const LAST_BLOCK = 0x80;
const CHANNELS_MAX = 8;

/** Decodes one native FLAC stream: its frames by libFLAC as WebAssembly. */
export class FlacStream {
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  readonly #frames = new FlacFrames();
  #head: Uint8Array = new Uint8Array(0);
  #declared: { readonly samples: number; readonly sampleRateHz: number } | undefined;
  #blockSamples = 0;
  /** Position of the first frame: a file that was cut does not begin at 0. */
  #origin: number | undefined;
  #decodedSamples = 0;
  #lostSamples = 0;
  #lostFrame = false;
  #sampleRateHz = 0;
  #closed = false;

  private constructor(
    private readonly wasm: WasmFlac,
    private readonly startSeconds: number,
  ) {}

  /** `startSeconds`: time of its first sample. */
  static async create(startSeconds: number): Promise<FlacStream> {
    const { FLACDecoder: Wasm } = await import('@wasm-audio-decoders/flac');
    const wasm = new Wasm();
    await wasm.ready;
    return new FlacStream(wasm, startSeconds);
  }

  /** Time of the next sample. */
  get endSeconds(): number {
    const samples = this.#decodedSamples + this.#lostSamples;
    return this.startSeconds + (samples === 0 ? 0 : samples / this.#sampleRateHz);
  }

  get declaredSeconds(): number | undefined {
    return this.#declared === undefined ? undefined : this.#declared.samples / this.#declared.sampleRateHz;
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const bytes = this.#head.length < STREAM_INFO_BYTES ? await this.#begin(chunk) : chunk;
    return this.#decode(this.#frames.push(bytes, this.#blockSamples));
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#decode(this.#frames.finish(this.#blockSamples));
    const lost = (this.#declared?.samples ?? 0) - this.#decodedSamples;
    if (lost > 0 && this.#declared !== undefined) {
      const seconds = (lost / this.#declared.sampleRateHz).toFixed(2);
      this.warnings.push(`${seconds} s declared in the FLAC header are missing or damaged.`);
    } else {
      this.warnings.push(...this.#errors.warnings('FLAC'));
    }
    return blocks;
  }

  /** Idempotent. */
  close(): void {
    if (!this.#closed) this.wasm.free();
    this.#closed = true;
  }

  async #decode(frames: readonly FlacFrame[]): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    for (const frame of frames) {
      const lost = this.#lostBefore(frame);
      const decoded = await this.wasm.decodeFrames([frame.bytes]);
      this.#errors.add(decoded.errors);
      this.#lostFrame = decoded.samplesDecoded === 0;
      if (this.#lostFrame) continue;
      this.#origin ??= frame.position;
      this.#sampleRateHz = decoded.sampleRate;
      this.#lostSamples += lost;
      const timestamp = lost > 0 ? { timestampSeconds: this.endSeconds } : {};
      this.#decodedSamples += decoded.samplesDecoded;
      blocks.push(...flacBlockOf(decoded).map((block) => ({ ...block, ...timestamp })));
    }
    return blocks;
  }

  /** Returns the number of samples that damage took before a frame: its number tells. */
  #lostBefore({ afterDamage, position }: FlacFrame): number {
    if (this.#origin === undefined || !(afterDamage || this.#lostFrame)) return 0;
    if (afterDamage) this.#errors.add([undefined]);
    return Math.max(0, position - this.#origin - this.#decodedSamples - this.#lostSamples);
  }

  /** Reads STREAMINFO, which libFLAC gets as if it were the only metadata, and returns what follows. */
  async #begin(chunk: Uint8Array): Promise<Uint8Array> {
    const bytes = joinBytes(this.#head, chunk);
    const head = bytes.slice(0, STREAM_INFO_BYTES);
    this.#head = head;
    if (head.length < STREAM_INFO_BYTES || head[0] !== 0x66) return bytes.subarray(head.length);
    const view = new DataView(head.buffer);
    const sampleRateHz = view.getUint32(18) >>> 12;
    this.#blockSamples = view.getUint16(10);
    const samples = (view.getUint8(21) & 0x0f) * 2 ** 32 + view.getUint32(22);
    if (samples > 0 && sampleRateHz > 0) this.#declared = { samples, sampleRateHz };
    const channels = ((view.getUint8(20) >> 1) & 7) + 1;
    const alone = head.slice();
    alone[4] = LAST_BLOCK;
    // With it, the library (0.2.11) overwrites its memory in most files of 8 channels; the frames' own headers suffice.
    if (channels < CHANNELS_MAX) await this.wasm.decodeFrames([alone]);
    return bytes.subarray(head.length);
  }
}
