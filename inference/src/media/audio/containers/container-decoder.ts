import { declaredDuration, splitChunks } from '@heimdex/common';
import type { Input } from 'mediabunny';
import { InferenceError } from '../../../errors.js';
import { joinBytes } from '../../bytes.js';
import { PACKET_CODECS } from '../decoders/codecs.js';
import type { Decoder } from '../decoders/decoder.js';
import type { PacketDecoder, TimedBlock } from '../decoders/packet-decoder.js';
import type { AudioTrackInfo, PacketContainer } from '../formats.js';
import { audioUnreadable } from '../undecodable.js';
import { ArrivingSource } from './arriving-source.js';
import { type ChosenTrack, chooseTrack } from './choose-track.js';
import { CONTAINER_FORMATS, type ContainerFormat } from './container-formats.js';
import { describeTracks, type TrackIndex } from './describe-tracks.js';
import { EditList } from './edit-list.js';
import type { Resync } from './frame-resync.js';
import { mediabunny } from './mediabunny.js';
import { opusDelaySeconds, packetsOf } from './track-packets.js';

const CHUNK_BYTES = 65_536;
/** A file may have minutes of video without audio packets; the limit catches endless streams. */
const SILENT_BYTES_MAX = 4 * 1_024 ** 3;
/** Smaller deficits relative to the index are rounding. */
const MISSING_SECONDS = 0.5;
/** Maximum size of data after the last packet that is just a tag. */
const UNREAD_BYTES = 1_024;
/** Size of an ID3v1 tag at the end of AAC. */
const TAG_BYTES = 128;

/**
 * Decodes one audio track of MP4, QuickTime, WebM, Matroska, MPEG-TS or ADTS: mediabunny demuxes the container, a codec's
 * decoder decodes the packets. Bytes are pushed as they arrive; the demuxer runs until it needs more.
 */
export class ContainerDecoder implements Decoder {
  readonly chunkBytes = CHUNK_BYTES;
  readonly silentBytesMax = SILENT_BYTES_MAX;
  readonly #container: ContainerFormat;
  readonly #source: ArrivingSource;
  readonly #input: Input;
  readonly #blocks: AsyncGenerator<readonly TimedBlock[], void, void>;
  readonly #warnings: string[] = [];
  #resync: Resync | undefined;
  /** The first bytes, until a track is chosen. */
  #head: Uint8Array | undefined = new Uint8Array(0);
  #next: Promise<IteratorResult<readonly TimedBlock[], void>> | undefined;
  #chosen: ChosenTrack | undefined;
  #decoder: PacketDecoder | undefined;
  #declaredSeconds: number | undefined;
  /** Time of the last block of samples. */
  #blockSeconds: number | undefined;
  #done = false;
  #closed = false;

  constructor(
    kind: PacketContainer,
    private readonly wantedTrack: number | undefined,
  ) {
    this.#container = CONTAINER_FORMATS[kind];
    this.#source = new ArrivingSource(this.#container.source);
    this.#input = new mediabunny.Input({ formats: [this.#container.input()], source: this.#source });
    this.#blocks = this.#decode();
  }

  get declaredSeconds(): number | undefined {
    return this.#declaredSeconds;
  }

  get track(): AudioTrackInfo | undefined {
    const track = this.#chosen?.track;
    return track && { index: track.index, codec: track.codecName, language: track.language };
  }

  get warnings(): readonly string[] {
    return [
      ...(this.#chosen?.warnings ?? []),
      ...(this.#resync?.warnings ?? []),
      ...this.#warnings,
      ...(this.#decoder?.warnings ?? []),
    ];
  }

  get finished(): boolean {
    return this.#done;
  }

  get hasMore(): boolean {
    return !this.#done && !this.#source.starved;
  }

  async push(chunk: Uint8Array): Promise<readonly TimedBlock[]> {
    this.#resync ??= this.#container.resync?.(chunk);
    this.#feed(this.#resync?.push(chunk) ?? chunk);
    return this.more();
  }

  async finish(): Promise<readonly TimedBlock[]> {
    if (this.#resync !== undefined) this.#feed(this.#resync.end());
    this.#source.end();
    return this.more();
  }

  #feed(bytes: Uint8Array): void {
    if (this.#head !== undefined && this.#head.length < CHUNK_BYTES) this.#head = joinBytes(this.#head, bytes);
    this.#source.push(bytes);
  }

  /** Returns the next blocks, or none if the demuxer needs more bytes. */
  async more(): Promise<readonly TimedBlock[]> {
    if (this.#done) return [];
    this.#next ??= this.#blocks.next();
    const step = await Promise.race([this.#next, this.#source.whenStarved()]);
    if (step === undefined) return [];
    this.#next = undefined;
    if (step.done === true) this.#done = true;
    return step.done === true ? [] : step.value;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#done = true;
    this.#next?.catch(() => undefined);
    this.#input.dispose();
    this.#decoder?.close();
  }

  /** The frames of a Matroska block may have the time of the block: those after the first that has samples follow it. */
  #following(block: TimedBlock): TimedBlock {
    const { timestampSeconds } = block;
    const follows = timestampSeconds === this.#blockSeconds;
    this.#blockSeconds = timestampSeconds;
    return follows ? { ...block, timestampSeconds: Number.NaN } : block;
  }

  async *#decode(): AsyncGenerator<readonly TimedBlock[], void, void> {
    const index = await this.#open();
    const head = this.#head ?? new Uint8Array(0);
    const unknown = this.#container.unsupportedAudio?.(head);
    const chosen = chooseTrack(index.tracks, this.wantedTrack, this.#container.name, unknown);
    this.#chosen = chosen;
    this.#head = undefined;
    const decoder = await PACKET_CODECS[chosen.format.codec].create(chosen.format);
    this.#decoder = decoder;
    splitChunks(chosen.track.input);
    const edits = EditList.of(index.mp4?.tracks.get(chosen.track.id));
    if (edits.reordered) {
      this.#warnings.push('The edit list repeats or reorders parts; they were read once, in the order of the media.');
    }
    const indexed = index.mp4?.fragmented === false || this.#container.listsOneTrack?.(head) === true;
    if (indexed) this.#declaredSeconds = (await declaredDuration(chosen.track.input)) ?? undefined;
    const delay = this.#container.countsOpusDelay ? opusDelaySeconds(chosen.format) : 0;
    const shiftSeconds = edits.offsetSeconds - index.originSeconds - delay;
    const place = (blocks: readonly TimedBlock[]) =>
      blocks.flatMap((block) => edits.place(block)).map((block) => this.#following(block));
    let endSeconds = 0;
    let damage: InferenceError | undefined;
    try {
      const { fragmentsOffset } = index;
      const { input, strippedHeader } = chosen.track;
      for await (const packet of packetsOf({ input, strippedHeader, shiftSeconds, fragmentsOffset })) {
        // The times of each of joined parts begin at 0.
        endSeconds = Math.max(endSeconds, packet.timestampSeconds + packet.durationSeconds - edits.offsetSeconds);
        const blocks = place(await decoder.decode(packet));
        if (blocks.length > 0) yield blocks;
      }
    } catch (error) {
      // Packets before the damage are good, and a decoder may hold seconds of them.
      damage = this.#unreadable(error, 'its packets are damaged.');
    }
    const blocks = place(await decoder.flush());
    if (blocks.length > 0) yield blocks;
    if (damage !== undefined) throw damage;
    await this.#sumUp(endSeconds, indexed);
  }

  async #open(): Promise<TrackIndex> {
    try {
      return await describeTracks(this.#input, this.#source, this.#container);
    } catch (error) {
      if (this.#container.isEncrypted?.(this.#head ?? new Uint8Array(0)) === true)
        throw this.#unreadable(error, 'it is encrypted.');
      throw this.#unreadable(error, 'its index is missing or damaged. Send the complete file.');
    }
  }

  /** Hides the library's message from the caller. */
  #unreadable(error: unknown, reason: string): InferenceError {
    if (error instanceof InferenceError) return error;
    return audioUnreadable(`The ${this.#container.name} file cannot be read: ${reason}`, error);
  }

  /** The library treats damage as the end of the file; the source tells whether it was the end. */
  async #sumUp(endSeconds: number, indexed: boolean): Promise<void> {
    const { name } = this.#container;
    const dropped = this.#resync?.droppedBytes ?? 0;
    if (dropped > TAG_BYTES) this.#warnings.push(`${dropped} bytes of the ${name} file are damaged and were skipped.`);
    const missing = (this.#declaredSeconds ?? 0) - endSeconds;
    const promised = indexed && (this.#source.endWasRead || this.#container.listsOneTrack !== undefined);
    if (promised && missing > MISSING_SECONDS) {
      this.#warnings.push(`${missing.toFixed(2)} s listed in the ${name} index are missing.`);
    } else if (this.#source.cut) {
      this.#warnings.push(`The ${name} file ends within a packet and was read up to that point.`);
    } else if (!indexed && this.#container.readsToEnd && (await this.#source.hasUnread(UNREAD_BYTES))) {
      this.#warnings.push(
        `The ${name} file is damaged after ${endSeconds.toFixed(2)} s and was read up to that point.`,
      );
    }
  }
}
