import { MIB } from '@heimdex/common';
import { joinBytes } from '../../bytes.js';
import { type Header, readHeader } from './ebml.js';
import type { Resync } from './frame-resync.js';

/** Elements of Matroska by their ids (RFC 9559), by where they are. */
const EBML = 0x1a45dfa3;
const SEGMENT = 0x18538067;
const CLUSTER = 0x1f43b675;
const TIMESTAMP = 0xe7;
const CRC_32 = 0xbf;
const VOID = 0xec;
/** EBML header, SeekHead, Info, Tracks, Cues, Attachments, Chapters and Tags. */
const BESIDE_CLUSTERS = new Set([
  SEGMENT,
  CLUSTER,
  CRC_32,
  VOID,
  EBML,
  0x114d9b74,
  0x1549a966,
  0x1654ae6b,
  0x1c53bb6b,
  0x1941a469,
  0x1043a770,
  0x1254c367,
]);
/** Timestamp, SimpleBlock, BlockGroup, PrevSize, Position, EncryptedBlock and SilentTracks. */
const IN_CLUSTER = new Set([TIMESTAMP, CRC_32, VOID, 0xa3, 0xa0, 0xab, 0xa7, 0xaf, 0x5854]);
/** An id of up to four bytes and a size of up to eight. */
const HEADER_BYTES = 12;
/** A header, and the id of the cluster's first element. */
const CLUSTER_START_BYTES = HEADER_BYTES + 1;
/** Larger blocks than any image. */
const BLOCK_MAX_BYTES = 64 * MIB;
const SEGMENT_ID_BYTES = 4;
const CLUSTER_BYTES = [0x1f, 0x43, 0xb6, 0x75] as const;

/**
 * Replaces what is damaged in Matroska and WebM, from the first element that cannot be there to the next cluster, by an element
 * of the same length without a meaning: in damage, the demuxer follows sizes that lead beyond all later clusters. A file that follows
 * another in the same content, as parts of a recording that were joined, becomes a part of the first: the demuxer ends with that.
 */
export class ClusterResync implements Resync {
  #held: Uint8Array = new Uint8Array(0);
  /** How many of the held bytes were read. */
  #heldReadBytes = 0;
  /** Where a block begins that nothing follows yet: of the held bytes, the first. */
  #block: number | undefined;
  /** Bytes left of the current element's body. */
  #left = 0;
  /** Bytes left of the current cluster; 0: not in one. */
  #cluster = 0;
  #anyCluster = false;
  #searching = false;
  #foreign = false;
  #droppedBytes = 0;

  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  push(chunk: Uint8Array): Uint8Array {
    return this.#pass(chunk, false);
  }

  end(): Uint8Array {
    return this.#pass(new Uint8Array(0), true);
  }

  /** Returns as many bytes as it decided about: a block is right if something that can follow it does. */
  #pass(chunk: Uint8Array, ended: boolean): Uint8Array {
    const bytes = this.#held.length === 0 ? new Uint8Array(chunk) : joinBytes(this.#held, chunk);
    let at = this.#heldReadBytes;
    while (at < bytes.length && !this.#foreign) {
      const next = this.#next(bytes, at, ended);
      if (next === undefined) break;
      at = next;
    }
    const decided = this.#foreign || ended ? bytes.length : (this.#block ?? at);
    this.#held = bytes.slice(decided);
    this.#heldReadBytes = Math.max(0, at - decided);
    if (this.#block !== undefined) this.#block = 0;
    return bytes.subarray(0, decided);
  }

  /** Where to go on after what begins at a byte; undefined if more bytes are needed. */
  #next(bytes: Uint8Array, at: number, ended: boolean): number | undefined {
    if (this.#left > 0) {
      const passed = Math.min(this.#left, bytes.length - at);
      this.#left -= passed;
      return at + passed;
    }
    if (this.#searching) return this.#search(bytes, at, ended);
    if (bytes.length - at < HEADER_BYTES) return undefined;
    const header = readHeader(bytes, at);
    if (header !== undefined) this.#join(bytes, at, header);
    const headerBytes = this.#enter(header);
    const from = this.#searching ? (this.#block ?? at) : at;
    this.#block = this.#searching || this.#cluster === 0 ? undefined : at;
    return from + headerBytes;
  }

  /** Replaces what is before the next cluster, or before where one may begin at the end of the bytes. */
  #search(bytes: Uint8Array, at: number, ended: boolean): number | undefined {
    const found = findCluster(bytes, at, ended);
    // The rest may be too short for an element of its own.
    if (found.at - at < 2 && !found.sure) return undefined;
    fillWithVoid(bytes, at, found.at);
    this.#droppedBytes += found.at - at;
    this.#searching = !found.sure;
    return found.at;
  }

  /** Makes the first segment have no end, and the headers of further ones elements without a meaning. */
  #join(bytes: Uint8Array, at: number, { id, size = 0, headerBytes }: Header): void {
    if (id === EBML && this.#anyCluster) fillWithVoid(bytes, at, at + headerBytes + size);
    if (id !== SEGMENT) return;
    const end = at + headerBytes;
    if (this.#anyCluster) fillWithVoid(bytes, at, end);
    else
      bytes
        .fill(0xff, at + SEGMENT_ID_BYTES, end)
        .fill(0xff >> (end - at - SEGMENT_ID_BYTES - 1), at + SEGMENT_ID_BYTES, at + SEGMENT_ID_BYTES + 1);
  }

  /** Goes into an element; returns the bytes of its header. */
  #enter(header: Header | undefined): number {
    const { id = 0, size, headerBytes = 0 }: Partial<Header> = header ?? {};
    if (this.#cluster > 0 && IN_CLUSTER.has(id)) {
      const left = this.#cluster - headerBytes;
      if (size === undefined || size > Math.min(left, BLOCK_MAX_BYTES)) {
        this.#searching = true;
        return 0;
      }
      this.#left = size;
      this.#cluster = left - size;
      return headerBytes;
    }
    if (!BESIDE_CLUSTERS.has(id)) {
      // What is before the first cluster is the demuxer's to judge.
      if (this.#anyCluster) this.#searching = true;
      else this.#foreign = true;
      return 0;
    }
    this.#cluster = id === CLUSTER ? (size ?? Number.POSITIVE_INFINITY) : 0;
    this.#anyCluster ||= id === CLUSTER;
    this.#left = id === CLUSTER || id === SEGMENT ? 0 : (size ?? 0);
    return headerBytes;
  }
}

/** Where the next cluster begins; if none is sure to, where one may begin at the end of the bytes. */
function findCluster(bytes: Uint8Array, from: number, ended: boolean): { readonly at: number; readonly sure: boolean } {
  for (let at = from; at < bytes.length; at++) {
    // The smallest element has two bytes.
    if (at === from + 1 || CLUSTER_BYTES.some((byte, index) => (bytes[at + index] ?? byte) !== byte)) continue;
    if (bytes.length - at < CLUSTER_START_BYTES && !ended) return { at, sure: false };
    const header = readHeader(bytes, at);
    const first = bytes[at + (header?.headerBytes ?? 0)];
    if (header !== undefined && (first === TIMESTAMP || first === CRC_32)) return { at, sure: true };
  }
  return { at: bytes.length, sure: false };
}

/** Writes an element without a meaning over bytes, of which there are none or at least two. */
function fillWithVoid(bytes: Uint8Array, from: number, to: number): void {
  const length = to - from;
  if (length < 2) return;
  bytes[from] = VOID;
  if (length < HEADER_BYTES) {
    bytes[from + 1] = 0x80 | (length - 2);
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + from + 1, 8);
  view.setBigUint64(0, (1n << 56n) | BigInt(length - 9));
}
