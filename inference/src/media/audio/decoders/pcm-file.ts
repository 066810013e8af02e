import { audioUnreadable } from '../undecodable.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { bytesPerSecond, type PcmHeader, type ReadPcmHeader, SIZE_DOUBTFUL } from './pcm-headers.js';
import { joinAll, SampleReader } from './samples.js';

const CHUNK_BYTES = 65_536;
/** Maximum offset of the samples: cover images and tags may precede them. */
const HEADER_MAX_BYTES = 16 * 1_024 * 1_024;

/** Decodes a file with uncompressed samples after a header: AIFF, AU or CAF. A truncated one is read up to its end, with a warning. */
export class PcmFileDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly track = { index: 0, codec: 'PCM', language: '' };
  readonly warnings: string[] = [];
  #parts: Uint8Array[] = [];
  #heldBytes = 0;
  /** The header is parsed again once this much was received: with each doubling, so that chunks of any size cost the same. */
  #enoughBytes = 0;
  #header: PcmHeader | undefined;
  #reader: SampleReader | undefined;
  #skipBytes = 0;
  #leftBytes = Number.POSITIVE_INFINITY;

  /** `contentBytes`: size of the content, if known. */
  constructor(
    private readonly name: string,
    private readonly readHeader: ReadPcmHeader,
    private readonly contentBytes: number | undefined,
  ) {}

  get declaredSeconds(): number | undefined {
    const header = this.#header;
    if (header === undefined || this.contentBytes === undefined) return undefined;
    const received = Math.max(0, this.contentBytes - header.dataOffset);
    return Math.min(header.dataBytes ?? received, received) / bytesPerSecond(header);
  }

  get finished(): boolean {
    return this.#leftBytes === 0;
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    if (this.#header !== undefined) return this.#decode(chunk);
    this.#parts.push(chunk);
    this.#heldBytes += chunk.length;
    return this.#heldBytes < this.#enoughBytes ? [] : this.#begin();
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = this.#header === undefined ? this.#begin() : [];
    const header = this.#header;
    if (header === undefined) {
      throw audioUnreadable(`The ${this.name} ends before its samples begin. Send the complete file.`);
    }
    const restBytes = this.#reader?.restBytes ?? 0;
    if (header.dataBytes !== undefined && header.dataBytes < SIZE_DOUBTFUL && this.#leftBytes > 0) {
      const seconds = (this.#leftBytes / bytesPerSecond(header)).toFixed(2);
      this.warnings.push(`The ${this.name} is truncated: ${seconds} s declared in its header are missing.`);
    } else if (restBytes > 0) {
      this.warnings.push(`The last ${restBytes} bytes are not a complete frame.`);
    }
    return blocks;
  }

  close(): void {
    this.#parts = [];
  }

  #begin(): readonly DecodedBlock[] {
    const bytes = joinAll(this.#parts);
    this.#parts = [bytes];
    this.#enoughBytes = Math.min(2 * bytes.length, HEADER_MAX_BYTES + 1);
    const header = this.readHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
    if (header === undefined && bytes.length > HEADER_MAX_BYTES) {
      throw audioUnreadable(
        `The samples of the ${this.name} begin after more than ${HEADER_MAX_BYTES / 1_024 / 1_024} MiB.`,
      );
    }
    if (header === undefined) return [];
    this.#header = header;
    this.#parts = [];
    this.#reader = new SampleReader(header.encoding, header.channelCount, header.sampleRateHz);
    this.#skipBytes = header.dataOffset;
    this.#leftBytes = header.dataBytes ?? Number.POSITIVE_INFINITY;
    return this.#decode(bytes);
  }

  #decode(bytes: Uint8Array): readonly DecodedBlock[] {
    const from = Math.min(this.#skipBytes, bytes.length);
    this.#skipBytes -= from;
    const samples = bytes.subarray(from, Math.min(bytes.length, from + this.#leftBytes));
    this.#leftBytes -= samples.length;
    const block = this.#reader?.push(samples);
    return block === undefined ? [] : [block];
  }
}
