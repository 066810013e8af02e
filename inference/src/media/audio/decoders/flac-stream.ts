import type { FLACDecodedAudio, FLACDecoder as WasmFlac } from '@wasm-audio-decoders/flac';
import type { DecodedBlock } from './decoder.js';
import { findFlacFrame } from './flac-frames.js';
import { joinAll } from './samples.js';
import { ErrorCount, flacBlockOf } from './wasm.js';

/** Size of `fLaC`, the 4-byte block header, and STREAMINFO. */
const STREAM_INFO_BYTES = 42;
const LAST_BLOCK = 0x80;
/** What the library may hold beyond two frames. */
const STALL_BYTES = 8_192;
const CHUNK_BYTES = 1_024;
/** Kept at most, however large the frames are said to be. */
const SILENT_MAX_BYTES = 4_194_304;
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
  #blockSamples = 0;
  /** Without a sample for more bytes, the library has lost the frames. */
  #stallBytes = Number.POSITIVE_INFINITY;
  /** The bytes since the last samples, as many as may hold a frame. */
  #silent: Uint8Array[] = [];
  #keptBytes = 0;
  #silentBytes = 0;
  /** Position of the first frame: a file that was cut does not begin at 0. */
  #origin: number | undefined;
  #decodedSamples = 0;
  #lostSamples = 0;
  #sampleRateHz = 0;
  #closed = false;

  private constructor(
    private wasm: WasmFlac,
    private readonly startSeconds: number,
  ) {}

  /** `startSeconds`: time of its first sample. */
  static async create(startSeconds: number): Promise<FlacStream> {
    return new FlacStream(await loadLibrary(), startSeconds);
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
    this.#readStreamInfo(chunk);
    const blocks = this.#take(await this.wasm.decode(chunk));
    this.#keepSilent(chunk);
    if (blocks.length > 0) this.#samplesCame();
    else if (this.#silentBytes > this.#stallBytes) return this.#recover(joinAll(this.#silent));
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#finishLibrary();
    if (blocks.length === 0 && this.#silentBytes > 0) {
      const end = joinAll([...this.#silent, Uint8Array.from(HEADER_AFTER_THE_END)]);
      blocks.push(...(await this.#recover(end)), ...(await this.#finishLibrary()));
    }
    const lost = (this.#declared?.samples ?? 0) - this.#decodedSamples;
    if (lost > 0 && this.#declared !== undefined) {
      const seconds = (lost / this.#declared.sampleRateHz).toFixed(2);
      this.warnings.push(`${seconds} s declared in the FLAC header are missing or damaged.`);
    } else {
      this.warnings.push(...this.#errors.warnings('FLAC'));
    }
    return blocks;
  }

  async #finishLibrary(): Promise<DecodedBlock[]> {
    return [...(await this.#finishLastFrame()), ...this.#take(await this.wasm.flush())];
  }

  #keepSilent(chunk: Uint8Array): void {
    this.#silent.push(chunk);
    this.#silentBytes += chunk.length;
    this.#keptBytes += chunk.length;
    // Frames that begin before the library has lost them are found.
    const most = Math.min(2 * this.#stallBytes, SILENT_MAX_BYTES);
    while (this.#keptBytes - (this.#silent[0]?.length ?? 0) > most)
      this.#keptBytes -= this.#silent.shift()?.length ?? 0;
  }

  #samplesCame(): void {
    this.#origin ??= findFlacFrame(joinAll(this.#silent), this.#blockSamples)?.position ?? 0;
    this.#silent = [];
    this.#keptBytes = 0;
    this.#silentBytes = 0;
  }

  /** Continues with a new library at the next whole frame, and tells its time. */
  async #recover(bytes: Uint8Array): Promise<readonly DecodedBlock[]> {
    this.#silentBytes = 0;
    const frame = this.#origin === undefined ? undefined : findFlacFrame(bytes, this.#blockSamples);
    if (frame === undefined || this.#origin === undefined) return [];
    this.wasm.free();
    this.wasm = await loadLibrary();
    const head = Uint8Array.from(this.#head);
    head[4] = LAST_BLOCK;
    await this.wasm.decode(head);
    const lost = frame.position - this.#origin - this.#decodedSamples - this.#lostSamples;
    this.#lostSamples += Math.max(0, lost);
    const timestampSeconds = this.endSeconds;
    const blocks: DecodedBlock[] = [];
    for (let at = frame.at; at < bytes.length; at += CHUNK_BYTES)
      blocks.push(...this.#take(await this.wasm.decode(bytes.subarray(at, at + CHUNK_BYTES))));
    const [first, ...others] = blocks;
    if (first === undefined) return [];
    this.#samplesCame();
    return [{ ...first, timestampSeconds }, ...others];
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
    if (decoded.samplesDecoded > 0) this.#sampleRateHz = decoded.sampleRate;
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
    this.#blockSamples = view.getUint16(10);
    const channels = ((view.getUint8(20) >> 1) & 7) + 1;
    // The largest frame is declared, or at most a little longer than its samples.
    const frameBytes = view.getUint32(14) & 0xff_ffff || this.#blockSamples * channels * 4;
    this.#stallBytes = 2 * frameBytes + STALL_BYTES;
    const samples = (view.getUint8(21) & 0x0f) * 2 ** 32 + view.getUint32(22);
    if (samples > 0 && sampleRateHz > 0) this.#declared = { samples, sampleRateHz };
  }
}

async function loadLibrary(): Promise<WasmFlac> {
  const { FLACDecoder: Wasm } = await import('@wasm-audio-decoders/flac');
  const wasm = new Wasm();
  await wasm.ready;
  return wasm;
}
