import { MIB } from '@heimdex/common';
import { joinBytes, latin1, viewOf } from '../../bytes.js';
import { audioUnreadable } from '../undecodable.js';
import { crcTable } from './crc.js';

/** An Ogg page (RFC 3533) has a 27-byte header, the sizes of its segments, and the segments. */
const HEADER_BYTES = 27;
const FLAG_FIRST = 2;
const FLAG_LAST = 4;
const CRC_OFFSET = 22;
const CRC = crcTable(32, 0x04c11db7);
/**
 * A page with a wrong checksum may contain the next one, and each of them is read: those of damaged files together have about as many bytes as
 * are skipped, others up to 2,400 times as many.
 */
const WRONG_BYTES_FACTOR = 16;
const WRONG_BYTES_MIN = MIB;
const MAGIC = [0x4f, 0x67, 0x67, 0x53] as const;

/** Magic numbers of the first packet of a stream. `plainFlac`: before 2004, and from VLC today, the packets are a FLAC file. */
export const OGG_MAGICS = { opus: 'OpusHead', vorbis: '\x01vorbis', flac: '\x7fFLAC', plainFlac: 'fLaC' } as const;
export type OggCodec = keyof typeof OGG_MAGICS;

/** A complete page of the decoded stream. */
export interface OggPage {
  readonly bytes: Uint8Array;
  /** Whether the stream begins with this page. */
  readonly begins: OggCodec | undefined;
  /** Position of the stream at the end of the page's last packet, in samples; undefined: no packet ends in it. */
  readonly granule: number | undefined;
  /** Whether pages of the stream are missing before this one. */
  readonly afterLoss: boolean;
}

/**
 * Passes only complete pages with a valid checksum, of one stream at a time: the libraries accept incomplete pages, and noise as
 * packets.
 */
export class OggPages {
  #held: Uint8Array = new Uint8Array(0);
  #serial: number | undefined;
  #sequence = 0;
  #open = false;
  /** Whether a page other than a first one was received. */
  #goneOn = false;
  readonly #others = new Set<OggCodec>();
  #skippedBytes = 0;
  /** In pages with a wrong checksum. */
  #wrongBytes = 0;

  /** Adds bytes and returns the complete pages. Throws AUDIO_UNREADABLE for far too many pages with a wrong checksum. */
  push(chunk: Uint8Array): readonly OggPage[] {
    this.#held = this.#held.length === 0 ? chunk : joinBytes(this.#held, chunk);
    const pages: OggPage[] = [];
    let offset = 0;
    for (;;) {
      const start = this.#findPage(offset);
      this.#skippedBytes += start - offset;
      offset = start;
      const length = this.#pageLength(offset);
      if (length === undefined) break;
      const page = this.#held.slice(offset, offset + length);
      if (checksumIsRight(page)) {
        offset += length;
        const found = this.#found(page);
        if (found !== undefined) pages.push(found);
      } else {
        offset += 1;
        this.#skippedBytes += 1;
        this.#countWrong(length);
      }
    }
    this.#held = this.#held.slice(offset);
    return pages;
  }

  /** The codecs of streams that are multiplexed with the decoded ones. */
  get others(): readonly OggCodec[] {
    return [...this.#others];
  }

  /** Returns warnings about lost data, at the end. */
  warnings(): readonly string[] {
    const lostBytes = this.#skippedBytes + this.#held.length;
    const lost = lostBytes === 0 ? [] : [`${lostBytes} bytes outside complete Ogg pages were skipped.`];
    return this.#open ? [...lost, 'The Ogg stream ends before its last page and was read up to that point.'] : lost;
  }

  #countWrong(bytes: number): void {
    this.#wrongBytes += bytes;
    if (this.#wrongBytes <= WRONG_BYTES_MIN + WRONG_BYTES_FACTOR * this.#skippedBytes) return;
    throw audioUnreadable('The Ogg file is damaged in too many positions.');
  }

  /** Returns where the next page may begin: at its magic number, or at the end of the bytes, if that may be a part of it. */
  #findPage(from: number): number {
    for (let offset = from; offset < this.#held.length; offset++) {
      if (MAGIC.every((byte, index) => (this.#held[offset + index] ?? byte) === byte)) return offset;
    }
    return this.#held.length;
  }

  #pageLength(offset: number): number | undefined {
    const segments = this.#held[offset + HEADER_BYTES - 1];
    if (segments === undefined || offset + HEADER_BYTES + segments > this.#held.length) return undefined;
    const sizes = this.#held.subarray(offset + HEADER_BYTES, offset + HEADER_BYTES + segments);
    const length = HEADER_BYTES + segments + sizes.reduce((sum, size) => sum + size, 0);
    return offset + length > this.#held.length ? undefined : length;
  }

  /** Selects the first decodable of several multiplexed streams; after its end, or if it just stops, the next. */
  #found(page: Uint8Array): OggPage | undefined {
    const view = viewOf(page);
    const flags = view.getUint8(5);
    const serial = view.getUint32(14, true);
    const codec = (flags & FLAG_FIRST) === 0 ? undefined : codecOf(page);
    // All multiplexed streams begin before the first continues: one that begins later is chained.
    const begins = codec !== undefined && (!this.#open || this.#goneOn) ? codec : undefined;
    if (codec !== undefined && begins === undefined && serial !== this.#serial) this.#others.add(codec);
    if (begins !== undefined) {
      this.#serial = serial;
      this.#open = true;
      this.#goneOn = false;
    }
    if (!this.#open || serial !== this.#serial) return undefined;
    if (begins === undefined) this.#goneOn = true;
    if ((flags & FLAG_LAST) !== 0) this.#open = false;
    const sequence = view.getUint32(18, true);
    const afterLoss = begins === undefined && sequence > this.#sequence + 1;
    this.#sequence = sequence;
    const granule = view.getBigInt64(6, true);
    return { bytes: page, begins, granule: granule < 0n ? undefined : Number(granule), afterLoss };
  }
}

/** Returns the codec of the stream that begins with a page. */
function codecOf(page: Uint8Array): OggCodec | undefined {
  const packet = latin1(contentOf(page), 0, 8);
  return (['opus', 'vorbis', 'flac', 'plainFlac'] as const).find((codec) => packet.startsWith(OGG_MAGICS[codec]));
}

/** Returns a page's packets, without its header. */
export function contentOf(page: Uint8Array): Uint8Array {
  return page.subarray(HEADER_BYTES + (page[HEADER_BYTES - 1] ?? 0));
}

/** Returns whether a packet ends in a page. */
export function endsPacket(page: Uint8Array): boolean {
  return page.subarray(HEADER_BYTES, HEADER_BYTES + (page[HEADER_BYTES - 1] ?? 0)).some((size) => size < 255);
}

function checksumIsRight(page: Uint8Array): boolean {
  let crc = 0;
  for (let index = 0; index < page.length; index++) {
    const inChecksum = index >= CRC_OFFSET && index < CRC_OFFSET + 4;
    const byte = inChecksum ? 0 : (page[index] ?? 0);
    crc = ((crc << 8) ^ (CRC[(crc >>> 24) ^ byte] ?? 0)) >>> 0;
  }
  return crc === viewOf(page).getUint32(CRC_OFFSET, true);
}
