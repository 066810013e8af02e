import type { RawAudioFormat } from '../formats.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { SampleReader, sampleBytes } from './samples.js';

const CHUNK_BYTES = 65_536;

const ENCODINGS = { 'pcm-s16le': 's16', 'pcm-f32le': 'f32' } as const satisfies Record<
  RawAudioFormat['encoding'],
  string
>;

/** Decodes samples without a container. */
export class RawDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly declaredSeconds: number | undefined;
  readonly finished = false;
  readonly track = { index: 0, codec: 'PCM', language: '' };
  readonly warnings: string[] = [];
  readonly #reader: SampleReader;

  constructor(format: RawAudioFormat, contentBytes: number | undefined) {
    const encoding = ENCODINGS[format.encoding];
    this.#reader = new SampleReader(encoding, format.channelCount, format.sampleRateHz);
    const bytesPerSecond = sampleBytes(encoding) * format.channelCount * format.sampleRateHz;
    this.declaredSeconds = contentBytes === undefined ? undefined : contentBytes / bytesPerSecond;
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const block = this.#reader.push(chunk);
    return block === undefined ? [] : [block];
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    if (this.#reader.restBytes > 0) {
      this.warnings.push(`The last ${this.#reader.restBytes} bytes are not a complete frame.`);
    }
    return [];
  }

  close(): void {}
}
