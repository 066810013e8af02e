import { latin1 } from '../../bytes.js';
import type { AudioTrackInfo } from '../formats.js';
import type { DecodedBlock, Decoder } from './decoder.js';
import { ErrorCount } from './error-count.js';
import { contentOf, endsPacket, type OggCodec, type OggPage, OggPages } from './ogg-pages.js';
import { OggTimes, OPUS_HEAD_OFFSET } from './ogg-times.js';
import { opusGain, withGain } from './opus.js';
import { blockOf, checkStreams, flacBlockOf, STREAMS_MAX, type WasmDecoded, type WithErrors } from './wasm.js';

/** Small, because a page of 282 bytes can have 255 packets of up to 8,192 samples per channel. */
const CHUNK_BYTES = 1_024;

/** What a packet of tags begins with; of FLAC also one with an image, each the last metadata or not. */
const TAGS: Readonly<Partial<Record<OggCodec, readonly string[]>>> = {
  opus: ['OpusTags'],
  vorbis: ['\x03vorbis'],
  flac: ['\x04', '\x84', '\x06', '\x86'],
};
/** In the flags of a page: it begins within a packet. */
const CONTINUED = 1;

interface WasmOgg {
  readonly ready: Promise<void>;
  decode(data: Uint8Array): Promise<WasmOggDecoded> | WasmOggDecoded;
  flush(): Promise<WasmOggDecoded>;
  free(): void;
}
interface WasmOggDecoded extends WithErrors<WasmDecoded> {
  /** Only meaningful for FLAC; Vorbis always reports 16. */
  readonly bitDepth?: number;
}

const flacLibrary = async () => new (await import('@wasm-audio-decoders/flac')).FLACDecoder();
const LIBRARIES = {
  vorbis: async () => new (await import('@wasm-audio-decoders/ogg-vorbis')).OggVorbisDecoder(),
  opus: async () => new (await import('ogg-opus-decoder')).OggOpusDecoder({ forceStereo: false }),
  flac: flacLibrary,
  plainFlac: flacLibrary,
} satisfies Record<OggCodec, () => Promise<WasmOgg>>;
const NAMES = { vorbis: 'Vorbis', opus: 'Opus', flac: 'FLAC', plainFlac: 'FLAC' } as const satisfies Record<
  OggCodec,
  string
>;

interface OggStream {
  readonly codec: OggCodec;
  readonly wasm: WasmOgg;
  /** Undefined: the positions of the pages are not compared, since the library returns the samples of each page at once. */
  readonly times: OggTimes | undefined;
  /** Of Opus, which the library leaves out. */
  readonly gain: number;
}

/**
 * Decodes Vorbis, Opus or FLAC in Ogg: libvorbis, libopus or libFLAC as WebAssembly. Chained streams are decoded sequentially,
 * each with a new decoder.
 */
export class OggDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly declaredSeconds = undefined;
  readonly finished = false;
  readonly warnings: string[] = [];
  readonly #errors = new ErrorCount();
  readonly #pages = new OggPages();
  #stream: OggStream | undefined;
  /** End of the blocks returned so far. */
  #seconds = 0;
  #lostSeconds = 0;
  #first: OggCodec | undefined;
  #streams = 0;
  #inTags = false;

  constructor(private readonly maxStreams = STREAMS_MAX) {}

  get track(): AudioTrackInfo | undefined {
    return this.#first && { index: 0, codec: NAMES[this.#first], language: '' };
  }

  async push(chunk: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks: DecodedBlock[] = [];
    for (const page of this.#pages.push(chunk)) {
      const { bytes, begins } = page;
      if (begins !== undefined) blocks.push(...(await this.#begin(begins, bytes)));
      if (this.#stream === undefined) continue;
      const data = this.#stream.codec === 'plainFlac' ? contentOf(bytes) : bytes;
      if (!this.#isUnreadTags(this.#stream.codec, bytes))
        blocks.push(...this.#take(await this.#stream.wasm.decode(data), page));
      this.#stream.times?.next(page);
    }
    return blocks;
  }

  async finish(): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#end();
    this.warnings.push(...this.#pages.warnings(), ...this.#errors.warnings(NAMES[this.#first ?? 'opus']));
    const others = this.#pages.others.map((codec) => NAMES[codec]);
    if (others.length > 0)
      this.warnings.push(
        `The Ogg file has other audio streams at the same time, which were not used: ${others.join(', ')}.`,
      );
    if (this.#lostSeconds > 0)
      this.warnings.push(`${this.#lostSeconds.toFixed(2)} s of missing Ogg pages were replaced by silence.`);
    return blocks;
  }

  close(): void {
    this.#stream?.wasm.free();
    this.#stream = undefined;
  }

  /** Starts a stream, after flushing the previous one. */
  async #begin(codec: OggCodec, page: Uint8Array): Promise<readonly DecodedBlock[]> {
    const blocks = await this.#end();
    this.#inTags = false;
    this.#streams += 1;
    checkStreams(this.#streams, this.maxStreams);
    const wasm: WasmOgg = await LIBRARIES[codec]();
    await wasm.ready;
    const gain = codec === 'opus' ? opusGain(page.subarray(OPUS_HEAD_OFFSET)) : 1;
    this.#stream = { codec, wasm, times: codec === 'plainFlac' ? undefined : OggTimes.of(codec, page), gain };
    this.#first ??= codec;
    return blocks;
  }

  /**
   * Whether a page is of the tags, which a cover image makes long, and is not for the library. It takes what follows the first page of Opus's
   * for audio; of the others it copies all it has with each page, and needs the last, where the setup of Vorbis begins.
   */
  #isUnreadTags(codec: OggCodec, page: Uint8Array): boolean {
    const tags = TAGS[codec];
    if (tags === undefined) return false;
    const start = latin1(contentOf(page), 0, 8);
    const goesOn = ((page[5] ?? 0) & CONTINUED) !== 0;
    const isOfTags = goesOn ? this.#inTags : tags.some((magic) => start.startsWith(magic));
    this.#inTags = isOfTags && !endsPacket(page);
    return codec === 'opus' ? isOfTags : goesOn && this.#inTags;
  }

  async #end(): Promise<readonly DecodedBlock[]> {
    if (this.#stream === undefined) return [];
    const blocks = this.#take(await this.#stream.wasm.flush());
    this.close();
    return blocks;
  }

  #take(decoded: WasmOggDecoded, after?: OggPage): readonly DecodedBlock[] {
    this.#errors.add(decoded.errors);
    const { bitDepth } = decoded;
    const flac = this.#stream !== undefined && NAMES[this.#stream.codec] === 'FLAC' && bitDepth !== undefined;
    const blocks = flac ? flacBlockOf({ ...decoded, bitDepth }) : blockOf(decoded);
    return blocks.map((block) => this.#place(block, after));
  }

  /** Removes what is before the stream's beginning, and tells the time of a block after missing pages. */
  #place({ channels, sampleRateHz }: DecodedBlock, after: OggPage | undefined): DecodedBlock {
    const { early = 0, lost = 0 } = this.#stream?.times?.place(channels[0]?.length ?? 0, after) ?? {};
    const own = channels.map((samples) => samples.subarray(early));
    const kept = withGain(own, this.#stream?.gain ?? 1);
    const timestampSeconds = lost === 0 ? undefined : this.#seconds + lost / sampleRateHz;
    this.#lostSeconds += lost / sampleRateHz;
    this.#seconds += (lost + (kept[0]?.length ?? 0)) / sampleRateHz;
    return { channels: kept, sampleRateHz, timestampSeconds };
  }
}
