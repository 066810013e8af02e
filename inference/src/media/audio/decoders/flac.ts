import { joinBytes } from '../../bytes.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { FlacStream } from './flac-stream.js';
import { checkStreams, STREAMS_MAX } from './wasm.js';

/** Small, because a frame of silence has about 14 bytes for 65,535 samples per channel. */
const CHUNK_BYTES = 1_024;
const MAGIC = 'fLaC';
/** The magic number and the block header of STREAMINFO, which is first and has 34 bytes. */
const START_BYTES = 8;
const STREAM_INFO_LENGTH = [0x00, 0x00, 0x22] as const;

/** Decodes native FLAC. Concatenated files are decoded as consecutive streams. */
export class FlacDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly finished = false;
  readonly track = { index: 0, codec: 'FLAC', language: '' };
  readonly #warnings: string[] = [];
  #stream: FlacStream;
  /** The end of the input, which may be the first bytes of a stream start. */
  #held: Uint8Array = new Uint8Array(0);
  #streamBytes = 0;
  #streams = 1;

  private constructor(
    stream: FlacStream,
    private readonly maxStreams: number,
  ) {
    this.#stream = stream;
  }

  static async create(maxStreams = STREAMS_MAX): Promise<FlacDecoder> {
    return new FlacDecoder(await FlacStream.create(0), maxStreams);
  }

  get declaredSeconds(): number | undefined {
    return this.#streams > 1 ? undefined : this.#stream.declaredSeconds;
  }

  get warnings(): readonly string[] {
    return this.#warnings;
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    let bytes = this.#held.length === 0 ? chunk : joinBytes(this.#held, chunk);
    for (let start = this.#startIn(bytes); start !== undefined; start = this.#startIn(bytes)) {
      blocks.push(...(await this.#give(bytes.subarray(0, start))), ...(await this.#endStream()));
      this.#streams += 1;
      checkStreams(this.#streams, this.maxStreams);
      this.#stream = await FlacStream.create(this.#stream.endSeconds);
      this.#streamBytes = 0;
      bytes = bytes.subarray(start);
    }
    const decided = Math.max(0, bytes.length - START_BYTES + 1);
    blocks.push(...(await this.#give(bytes.subarray(0, decided))));
    this.#held = bytes.slice(decided);
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#give(this.#held);
    this.#held = new Uint8Array(0);
    return [...blocks, ...(await this.#endStream())];
  }

  close(): void {
    this.#stream.close();
  }

  async #give(bytes: Uint8Array): Promise<readonly DecodedBlock[]> {
    this.#streamBytes += bytes.length;
    return bytes.length === 0 ? [] : this.#stream.push(bytes);
  }

  async #endStream(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#stream.finish();
    this.#warnings.push(...this.#stream.warnings);
    this.#stream.close();
    return blocks;
  }

  /** Returns where the next stream starts, after the current one. */
  #startIn(bytes: Uint8Array): number | undefined {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const from = this.#streamBytes === 0 ? 1 : 0;
    for (let at = buffer.indexOf(MAGIC, from, 'latin1'); at >= 0; at = buffer.indexOf(MAGIC, at + 1, 'latin1')) {
      if (at + START_BYTES > bytes.length) return undefined;
      const type = (bytes[at + 4] ?? 0) & 0x7f;
      if (type === 0 && STREAM_INFO_LENGTH.every((byte, index) => bytes[at + 5 + index] === byte)) return at;
    }
    return undefined;
  }
}
