import type { AudioTrackInfo } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { SIZE_DOUBTFUL, SIZE_UNKNOWN } from './pcm-headers.js';
import { joinBytes, SampleReader } from './samples.js';
import { parseWavFormat, type WavFormat } from './wav-format.js';
import { WavPackets } from './wav-packets.js';

const CHUNK_BYTES = 65_536;
/** Maximum size of a `fmt ` or `ds64` chunk. */
const HEADER_CHUNK_MAX_BYTES = 65_536;

type State = 'riff' | 'chunk' | 'body' | 'skip' | 'data' | 'after';

/**
 * Decodes WAV, RF64 and BW64 (Microsoft RIFF, EBU Tech 3306). A truncated file is read up to its end, with a warning; a size of
 * 0 or 0xFFFFFFFF in a stream means "until the end".
 */
export class WavDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly #warnings: string[] = [];
  #state: State = 'riff';
  #held: Uint8Array = new Uint8Array(0);
  #chunkId = '';
  #chunkBytes = 0;
  #leftBytes = 0;
  #seenBytes = 0;
  #riffBytes = 0;
  #dataBytes64: number | undefined;
  #dataBytes: number | undefined;
  #format: WavFormat | undefined;
  #reader: SampleReader | undefined;
  #packets: WavPackets | undefined;

  /** `contentBytes`: size of the content, if known, to check the header's size. */
  constructor(private readonly contentBytes: number | undefined) {}

  get track(): AudioTrackInfo | undefined {
    return this.#format && { index: 0, codec: this.#format.codecName, language: '' };
  }

  get finished(): boolean {
    return this.#state === 'after';
  }

  get declaredSeconds(): number | undefined {
    const format = this.#format;
    if (format === undefined || format.bytesPerSecond === 0 || this.contentBytes === undefined) return undefined;
    return Math.min(this.#dataBytes ?? this.contentBytes, this.contentBytes) / format.bytesPerSecond;
  }

  get warnings(): readonly string[] {
    return [...this.#warnings, ...(this.#packets?.warnings ?? [])];
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    let rest = chunk;
    while (rest.length > 0 && this.#state !== 'after') {
      if (this.#state === 'data') {
        const samples = rest.subarray(0, this.#leftBytes);
        blocks.push(...(await this.#decode(samples)));
        this.#leftBytes -= samples.length;
        if (this.#leftBytes === 0) this.#state = 'after';
        rest = rest.subarray(samples.length);
      } else {
        rest = this.#step(rest);
      }
    }
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const format = this.#format;
    const blocks = (await this.#packets?.finish()) ?? [];
    if (this.#state === 'data' && format !== undefined) {
      const restBytes = this.#reader?.restBytes ?? 0;
      if (this.#dataBytes !== undefined && this.#dataBytes < SIZE_DOUBTFUL && this.#leftBytes > 0) {
        const missing =
          format.bytesPerSecond === 0
            ? `${this.#leftBytes} bytes`
            : `${(this.#leftBytes / format.bytesPerSecond).toFixed(2)} s`;
        this.#warnings.push(`The WAV is truncated: ${missing} declared in its header are missing.`);
      } else if (restBytes > 0) {
        this.#warnings.push(`The last ${restBytes} bytes are not a complete frame.`);
      }
    } else if (this.#state !== 'after') {
      throw audioUnreadable('The WAV ends before its samples begin. Send the complete file.');
    }
    return blocks;
  }

  close(): void {
    this.#packets?.close();
    this.#packets = undefined;
  }

  async #decode(bytes: Uint8Array): Promise<readonly DecodedBlock[]> {
    if (this.#reader !== undefined) {
      const block = this.#reader.push(bytes);
      return block === undefined ? [] : [block];
    }
    const format = this.#format;
    if (format === undefined) return [];
    this.#packets ??= await WavPackets.create(format);
    return this.#packets.push(bytes);
  }

  /** Consumes the bytes that the current state needs; returns the rest. */
  #step(bytes: Uint8Array): Uint8Array {
    switch (this.#state) {
      case 'riff':
        return this.#gather(bytes, 12, (head) => {
          this.#riffBytes = uint32(head, 4);
          this.#state = 'chunk';
        });
      case 'chunk':
        return this.#gather(bytes, 8, (head) => this.#enterChunk(head));
      case 'body':
        return this.#gather(bytes, this.#chunkBytes + (this.#chunkBytes % 2), (body) => {
          this.#readBody(body);
          this.#state = 'chunk';
        });
      default: {
        const taken = Math.min(bytes.length, this.#leftBytes);
        this.#leftBytes -= taken;
        this.#seenBytes += taken;
        if (this.#leftBytes === 0) this.#state = 'chunk';
        return bytes.subarray(taken);
      }
    }
  }

  #gather(bytes: Uint8Array, size: number, use: (head: Uint8Array) => void): Uint8Array {
    const missing = size - this.#held.length;
    this.#held = joinBytes(this.#held, bytes.subarray(0, missing));
    if (this.#held.length < size) return bytes.subarray(bytes.length);
    const head = this.#held;
    this.#held = new Uint8Array(0);
    this.#seenBytes += size;
    use(head);
    return bytes.subarray(missing);
  }

  #enterChunk(head: Uint8Array): void {
    this.#chunkId = String.fromCharCode(...head.subarray(0, 4));
    this.#chunkBytes = uint32(head, 4);
    if (this.#chunkId === 'data') return this.#enterData();
    if (this.#chunkId === 'fmt ' || this.#chunkId === 'ds64') {
      if (this.#chunkBytes > HEADER_CHUNK_MAX_BYTES) {
        throw audioUnreadable(
          `The WAV header is damaged: its '${this.#chunkId.trim()}' chunk has ${this.#chunkBytes} bytes.`,
        );
      }
      this.#state = this.#chunkBytes === 0 ? 'chunk' : 'body';
      return;
    }
    this.#leftBytes = this.#chunkBytes + (this.#chunkBytes % 2);
    this.#state = this.#leftBytes === 0 ? 'chunk' : 'skip';
  }

  #readBody(body: Uint8Array): void {
    if (this.#chunkId === 'ds64') {
      if (body.length >= 16) this.#dataBytes64 = uint32(body, 8) + uint32(body, 12) * 2 ** 32;
      return;
    }
    const format = parseWavFormat(body.subarray(0, this.#chunkBytes));
    this.#format = format;
    const { encoding, channelCount, sampleRateHz } = format;
    if (encoding !== undefined) this.#reader = new SampleReader(encoding, channelCount, sampleRateHz);
    if (format.warning !== undefined) this.#warnings.push(format.warning);
  }

  #enterData(): void {
    if (this.#format === undefined) {
      throw audioUnreadable("The WAV content has no 'fmt' chunk before its samples; it is damaged.");
    }
    this.#dataBytes = this.#declaredBytes();
    this.#leftBytes = this.#dataBytes ?? Number.POSITIVE_INFINITY;
    this.#state = this.#leftBytes === 0 ? 'after' : 'data';
  }

  #declaredBytes(): number | undefined {
    if (this.#chunkBytes === SIZE_UNKNOWN) {
      const size = this.#dataBytes64;
      return size === undefined || size === 0 || !Number.isSafeInteger(size) ? undefined : size;
    }
    if (this.#chunkBytes > 0) return this.#chunkBytes;
    // A valid file without samples has further chunks; a writer that did not fill in the sizes afterwards has none.
    const hasMore = this.#riffBytes !== SIZE_UNKNOWN && this.#riffBytes + 8 > this.#seenBytes;
    return hasMore ? 0 : undefined;
  }
}

function uint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true);
}
