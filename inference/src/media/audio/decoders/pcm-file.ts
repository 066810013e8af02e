import { joinBytes, viewOf } from '../../bytes.js';
import type { AudioTrackInfo } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import { PACKET_CODECS } from './codecs.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { type HeaderReader, type PcmHeader, SIZE_DOUBTFUL } from './pcm-headers.js';
import { SampleReader, sampleBytes } from './samples.js';
import { WavPackets } from './wav-packets.js';

const CHUNK_BYTES = 65_536;

/** Decodes a file with samples after a header: WAV, AIFF, AU or CAF. A truncated one is read up to its end, with a warning. */
export class PcmFileDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly #warnings: string[] = [];
  #request: IteratorResult<number, PcmHeader>;
  /** What has come of the bytes that the header's reader asks for, and their number with those left out. */
  #held: Uint8Array = new Uint8Array(0);
  #gotBytes = 0;
  /** Size of the header. */
  #headerBytes = 0;
  #header: PcmHeader | undefined;
  #reader: SampleReader | undefined;
  #packets: WavPackets | undefined;
  #leftBytes = Number.POSITIVE_INFINITY;

  /** `contentBytes`: size of the content, if known. */
  constructor(
    private readonly name: string,
    private readonly headerReader: HeaderReader,
    private readonly contentBytes: number | undefined,
  ) {
    this.#request = headerReader.next();
  }

  get track(): AudioTrackInfo | undefined {
    return this.#header && { index: 0, codec: PACKET_CODECS[this.#header.packets?.codec ?? 'pcm'].name, language: '' };
  }

  get declaredSeconds(): number | undefined {
    const bytesPerSecond = this.#bytesPerSecond;
    if (bytesPerSecond === undefined || this.contentBytes === undefined) return undefined;
    const received = Math.max(0, this.contentBytes - this.#headerBytes);
    return Math.min(this.#header?.dataBytes ?? received, received) / bytesPerSecond;
  }

  get finished(): boolean {
    return this.#leftBytes === 0;
  }

  get warnings(): readonly string[] {
    return [...this.#warnings, ...(this.#packets?.warnings ?? [])];
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const samples = this.#header === undefined ? await this.#readHeader(chunk) : chunk;
    const bytes = samples.subarray(0, this.#leftBytes);
    this.#leftBytes -= bytes.length;
    if (this.#packets !== undefined) return this.#packets.push(bytes);
    const block = this.#reader?.push(bytes);
    return block === undefined ? [] : [block];
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const header = this.#header;
    if (header === undefined) {
      throw audioUnreadable(`The ${this.name} ends before its samples begin. Send the complete file.`);
    }
    const blocks = (await this.#packets?.finish()) ?? [];
    // A single byte made the chunk even, and some writers count it.
    const restBytes = this.#reader?.restBytes ?? 0;
    if (header.dataBytes !== undefined && header.dataBytes < SIZE_DOUBTFUL && this.#leftBytes > 0) {
      const perSecond = this.#bytesPerSecond;
      const missing =
        perSecond === undefined ? `${this.#leftBytes} bytes` : `${(this.#leftBytes / perSecond).toFixed(2)} s`;
      this.#warnings.push(`The ${this.name} is truncated: ${missing} declared in its header are missing.`);
    } else if (restBytes > 1) {
      this.#warnings.push(`The last ${restBytes} bytes are not a complete frame.`);
    }
    return blocks;
  }

  close(): void {
    this.#packets?.close();
    this.#packets = undefined;
  }

  /** Undefined: not known before they are decoded. */
  get #bytesPerSecond(): number | undefined {
    const { encoding, channelCount, sampleRateHz } = this.#header ?? {};
    if (encoding === undefined || channelCount === undefined || sampleRateHz === undefined) return undefined;
    return sampleBytes(encoding) * channelCount * sampleRateHz;
  }

  /** Gives the header's reader what it asks for; returns the bytes behind the header. */
  async #readHeader(chunk: Uint8Array): Promise<Uint8Array> {
    let rest = chunk;
    while (this.#request.done !== true) {
      const wantedBytes = Math.abs(this.#request.value);
      const bytes = rest.subarray(0, wantedBytes - this.#gotBytes);
      if (this.#request.value > 0) this.#held = joinBytes(this.#held, bytes);
      this.#gotBytes += bytes.length;
      this.#headerBytes += bytes.length;
      rest = rest.subarray(bytes.length);
      if (this.#gotBytes < wantedBytes) return rest;
      const got = viewOf(this.#held);
      this.#held = new Uint8Array(0);
      this.#gotBytes = 0;
      this.#request = this.headerReader.next(got);
    }
    await this.#begin(this.#request.value);
    return rest;
  }

  async #begin(header: PcmHeader): Promise<void> {
    const { encoding, channelCount, sampleRateHz, packets, warning, dataBytes } = header;
    if (packets !== undefined) this.#packets = await WavPackets.create({ ...packets, channelCount, sampleRateHz });
    if (encoding !== undefined) this.#reader = new SampleReader(encoding, channelCount, sampleRateHz);
    if (warning !== undefined) this.#warnings.push(warning);
    this.#header = header;
    this.#leftBytes = dataBytes ?? Number.POSITIVE_INFINITY;
  }
}
