import type { MPEGDecoder as WasmMpeg } from 'mpg123-decoder';
import { joinBytes } from '../../bytes.js';
import { FrameResync, mpegLengthAt, tagLengthAt } from '../containers/frame-resync.js';
import { FRAMES_IN_A_ROW_BYTES, findMpegFrames } from '../mpeg-frames.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { ErrorCount } from './error-count.js';
import { MpegWalk } from './mpeg-walk.js';
import { blockOf, checkStreams, STREAMS_MAX } from './wasm.js';

const CHUNK_BYTES = 4_096;
/**
 * The library gets blocks of this size, wherever the chunks of the content end: in damage it drops what is left of them, and what it finds
 * next depends on that. A quarter of a second at 32 kbit/s.
 */
const BLOCK_BYTES = 1_024;
/** Size of an ID3v1 tag, at the end. */
const TAG_BYTES = 128;

/**
 * Decodes MPEG audio layers 1 to 3: libmpg123 as WebAssembly. Skips ID3 tags and removes the encoder delay. The library reports
 * one rate per chunk: at a change of the rate, a new instance continues.
 */
export class Mp3Decoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly track = { index: 0, codec: 'MP3', language: '' };
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  /** The library decodes what looks like a frame in any other data: 45 s of noise of 4 MiB of random bytes. */
  readonly #frames = new FrameResync(mpegLengthAt, tagLengthAt);
  readonly #walk = new MpegWalk();
  #wasm: WasmMpeg;
  /** Received bytes in which the first frames may begin; undefined: they were found. */
  #start: Uint8Array | undefined = new Uint8Array(0);
  /** Received bytes that may belong to the next frame. */
  #held: Uint8Array = new Uint8Array(0);
  /** Their offset in the content. */
  #position = 0;

  #streams = 1;

  private constructor(
    wasm: WasmMpeg,
    private readonly maxStreams: number,
  ) {
    this.#wasm = wasm;
  }

  static async create(maxStreams = STREAMS_MAX): Promise<Mp3Decoder> {
    return new Mp3Decoder(await loadLibrary(), maxStreams);
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    return this.#push(this.#frames.push(this.#fromFirstFrame(chunk, false)));
  }

  /** The library begins at a single header, which any data may have: behind a tag of a wrong length may be no MP3. */
  #fromFirstFrame(chunk: Uint8Array, ended: boolean): Uint8Array {
    if (this.#start === undefined) return chunk;
    const bytes = joinBytes(this.#start, chunk);
    const first = findMpegFrames(bytes, ended);
    this.#start = first === undefined ? bytes.slice(-FRAMES_IN_A_ROW_BYTES) : undefined;
    return first === undefined ? new Uint8Array(0) : bytes.subarray(first);
  }

  async #push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const changes = this.#walk.push(chunk);
    const bytes = this.#held.length === 0 ? chunk : joinBytes(this.#held, chunk);
    const blocks: DecodedBlock[] = [];
    let from = 0;
    for (const change of changes) {
      const to = change - this.#position;
      const at = this.#decodeBlocks(bytes, from, to, blocks);
      blocks.push(...this.#decode(bytes.subarray(at, to)));
      this.#streams += 1;
      checkStreams(this.#streams, this.maxStreams);
      const next = await loadLibrary();
      this.#wasm.free();
      this.#wasm = next;
      from = to;
    }
    const decided = this.#decodeBlocks(bytes, from, bytes.length - this.#walk.undecidedBytes, blocks);
    this.#held = bytes.slice(decided);
    this.#position += decided;
    return blocks;
  }

  /** Decodes the blocks that end by `end`, counted from the first frame; returns where the next one begins. */
  #decodeBlocks(bytes: Uint8Array, from: number, end: number, blocks: DecodedBlock[]): number {
    let at = from;
    for (;;) {
      const next = at + BLOCK_BYTES - ((this.#position + at) % BLOCK_BYTES);
      if (next > end) return at;
      blocks.push(...this.#decode(bytes.subarray(at, next)));
      at = next;
    }
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const last = this.#frames.push(this.#fromFirstFrame(new Uint8Array(0), true));
    const blocks = [...(await this.#push(joinBytes(last, this.#frames.end()))), ...this.#decode(this.#held)];
    const { droppedBytes } = this.#frames;
    if (droppedBytes > TAG_BYTES) this.warnings.push(`${droppedBytes} bytes outside complete MP3 frames were skipped.`);
    const missing = this.#walk.missing();
    this.warnings.push(...this.#errors.warnings('MP3'), ...(missing === undefined ? [] : [missing]));
    return blocks;
  }

  close(): void {
    this.#wasm.free();
  }

  #decode(bytes: Uint8Array): readonly DecodedBlock[] {
    if (bytes.length === 0) return [];
    const decoded = this.#wasm.decode(bytes);
    this.#errors.add(decoded.errors);
    return blockOf(decoded);
  }
}

async function loadLibrary(): Promise<WasmMpeg> {
  const { MPEGDecoder } = await import('mpg123-decoder');
  const wasm = new MPEGDecoder();
  await wasm.ready;
  return wasm;
}
