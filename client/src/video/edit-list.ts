/**
 * The edit list of an MP4 or QuickTime track (ISO 14496-12): which part of the track's media is played when. mediabunny
 * reads and writes only its first entry, so this file copies the complete list.
 */
import type { FileHandle } from 'node:fs/promises';

/** The edit list of one track. */
export interface EditList {
  /** Ticks per second of the entries' durations. */
  readonly movieScale: number;
  readonly entries: readonly Edit[];
  /** False: the last entry extends to the end of the media. */
  readonly ends: boolean;
}

interface Edit {
  /** In `movieScale` ticks. */
  readonly duration: number;
  /** Start within the media; undefined for an empty edit. */
  readonly mediaSeconds: number | undefined;
}

interface Box {
  readonly type: string;
  /** Start of the box, header included. */
  readonly start: number;
  readonly end: number;
  readonly body: number;
}

const MAX_MOOV_BYTES = 256 * 1_024 * 1_024;
const MAX_BOXES = 100_000;
const MAX_EDITS = 10_000;

/** The parts of an MP4 index (moov) that mediabunny does not expose. */
export interface Mp4Index {
  readonly fragmented: boolean;
  /** Fragments follow samples of the index: mediabunny reads only the latter. */
  readonly continued: boolean;
  /** A fragment extends beyond the end of the file. */
  readonly truncated: boolean;
  /** An audio track is encrypted. */
  readonly encrypted: boolean;
  /** Edit lists by track id; a track without one is played in full. */
  readonly edits: ReadonlyMap<number, EditList>;
}

/** Reads the index (moov), wherever it is in the file. Returns undefined if there is none, or another: of files that were joined. */
export async function readMp4Index(file: FileHandle, sizeBytes: number): Promise<Mp4Index | undefined> {
  const header = new Uint8Array(16);
  let index: Omit<Mp4Index, 'truncated'> | undefined;
  let at = 0;
  // Visit every fragment: the index does not contain their number.
  for (let count = 0; at + 8 <= sizeBytes && count < MAX_BOXES && index?.fragmented !== false; count++) {
    await file.read(header, 0, 16, at);
    const box = boxAt(new DataView(header.buffer), 0, Number.POSITIVE_INFINITY);
    if (box === undefined) break;
    const end = Number.isFinite(box.end) ? at + box.end : sizeBytes;
    if (box.type === 'moov') {
      if (index !== undefined || end - at > MAX_MOOV_BYTES) return undefined;
      const moov = new Uint8Array(Math.min(end, sizeBytes) - at);
      const { bytesRead } = await file.read(moov, 0, moov.length, at);
      index = parseMoov(moov.subarray(box.body, bytesRead));
    }
    at = end;
  }
  return index && { ...index, truncated: index.fragmented && at > sizeBytes };
}

/** Returns the media start minus the presentation start of the first non-empty edit, in seconds. */
export function offsetSeconds({ entries, movieScale }: EditList): number {
  let before = 0;
  for (const { duration, mediaSeconds } of entries) {
    if (mediaSeconds !== undefined) return mediaSeconds - before / movieScale;
    before += duration;
  }
  return 0;
}

/** Returns the moov box of a file with one track, with that track's edit list replaced. */
export function withEditList(moov: Uint8Array, list: EditList): Uint8Array {
  const view = viewOf(moov);
  const whole = boxAt(view, 0, moov.length);
  const track = whole && find(view, whole, ['trak']);
  const mediaHeader = track && find(view, track, ['mdia', 'mdhd']);
  const movieHeader = whole && find(view, whole, ['mvhd']);
  if (whole === undefined || track === undefined || mediaHeader === undefined || movieHeader === undefined) {
    throw new Error('the written index has no track');
  }
  const old = find(view, track, ['edts']);
  const edts = editBox(list, timescaleOf(view, mediaHeader));
  const at = old?.start ?? mediaStart(view, track);
  const changed = Buffer.concat([moov.subarray(0, at), edts, moov.subarray(old?.end ?? at)]);
  const growth = changed.length - moov.length;
  changed.writeUInt32BE(whole.end - whole.start + growth, whole.start);
  changed.writeUInt32BE(track.end - track.start + growth, track.start);
  changed.writeUInt32BE(list.movieScale, afterTimes(view, movieHeader));
  return changed;
}

function mediaStart(view: DataView, track: Box): number {
  return find(view, track, ['mdia'])?.start ?? track.end;
}

function editBox({ entries, ends }: EditList, mediaScale: number): Buffer {
  // In fragmented files, media after the last entry is played too, unless an empty entry follows.
  const all = ends ? [...entries, { duration: 0, mediaSeconds: undefined }] : entries;
  const box = Buffer.alloc(8 + 16 + all.length * 20);
  box.writeUInt32BE(box.length, 0);
  box.write('edts', 4, 'latin1');
  box.writeUInt32BE(box.length - 8, 8);
  box.write('elst', 12, 'latin1');
  box.writeUInt8(1, 16);
  box.writeUInt32BE(all.length, 20);
  for (const [index, { duration, mediaSeconds }] of all.entries()) {
    const at = 24 + index * 20;
    box.writeBigUInt64BE(BigInt(duration), at);
    box.writeBigInt64BE(mediaSeconds === undefined ? -1n : BigInt(Math.round(mediaSeconds * mediaScale)), at + 8);
    box.writeUInt16BE(1, at + 16);
  }
  return box;
}

function parseMoov(body: Uint8Array): Omit<Mp4Index, 'truncated'> {
  const view = viewOf(body);
  const whole = { type: 'moov', start: 0, body: 0, end: body.length };
  const boxes = childrenOf(view, whole);
  const fragmented = boxes.some(({ type }) => type === 'mvex');
  const movieHeader = boxes.find(({ type }) => type === 'mvhd');
  const movieScale = movieHeader === undefined ? 0 : timescaleOf(view, movieHeader);
  const edits = new Map<number, EditList>();
  const tracks = boxes.filter(({ type }) => type === 'trak');
  const encrypted = tracks.some((track) => isEncrypted(view, track));
  for (const track of tracks) {
    const header = find(view, track, ['tkhd']);
    const mediaHeader = find(view, track, ['mdia', 'mdhd']);
    const list = find(view, track, ['edts', 'elst']);
    if (header === undefined || mediaHeader === undefined || list === undefined || movieScale === 0) continue;
    const entries = entriesOf(view, list, timescaleOf(view, mediaHeader));
    if (!entries.some(({ mediaSeconds }) => mediaSeconds !== undefined)) continue;
    const ends = !fragmented && entries.at(-1)?.duration !== 0;
    edits.set(view.getUint32(afterTimes(view, header)), { movieScale, entries, ends });
  }
  const continued = fragmented && tracks.some((track) => hasSamples(view, track));
  return { fragmented, continued, encrypted, edits };
}

function hasSamples(view: DataView, track: Box): boolean {
  const sizes = find(view, track, ['mdia', 'minf', 'stbl', 'stsz']);
  return sizes !== undefined && sizes.end - sizes.body >= 12 && view.getUint32(sizes.body + 8) > 0;
}

function isEncrypted(view: DataView, track: Box): boolean {
  const descriptions = find(view, track, ['mdia', 'minf', 'stbl', 'stsd']);
  if (descriptions === undefined) return false;
  return childrenOf(view, { ...descriptions, body: descriptions.body + 8 }).some(({ type }) => type === 'enca');
}

function entriesOf(view: DataView, list: Box, mediaScale: number): readonly Edit[] {
  const long = view.getUint8(list.body) === 1;
  const size = long ? 20 : 12;
  const fits = Math.floor((list.end - list.body - 8) / size);
  const count = mediaScale === 0 ? 0 : Math.min(view.getUint32(list.body + 4), fits, MAX_EDITS);
  return Array.from({ length: count }, (_, index) => {
    const at = list.body + 8 + index * size;
    const mediaTime = long ? Number(view.getBigInt64(at + 8)) : view.getInt32(at + 4);
    return {
      duration: long ? Number(view.getBigUint64(at)) : view.getUint32(at),
      mediaSeconds: mediaTime < 0 ? undefined : mediaTime / mediaScale,
    };
  });
}

/** Of `mvhd` and `mdhd`. */
function timescaleOf(view: DataView, header: Box): number {
  return view.getUint32(afterTimes(view, header));
}

/** Where the times of a header end: of `mvhd` and `mdhd` the timescale follows, of `tkhd` the track's id. */
function afterTimes(view: DataView, { body }: Box): number {
  return body + (view.getUint8(body) === 1 ? 20 : 12);
}

function find(view: DataView, within: Box, path: readonly string[]): Box | undefined {
  let box: Box | undefined = within;
  for (const name of path) box = box && childrenOf(view, box).find(({ type }) => type === name);
  return box;
}

function childrenOf(view: DataView, { body, end }: Box): readonly Box[] {
  const boxes: Box[] = [];
  for (let at = body; boxes.length < MAX_BOXES; ) {
    const box = boxAt(view, at, end);
    if (box === undefined) return boxes;
    boxes.push(box);
    at = box.end;
  }
  return boxes;
}

/** Returns the box at an offset, clipped to `limit`, or undefined if there is none. */
function boxAt(view: DataView, start: number, limit: number): Box | undefined {
  if (start + 8 > Math.min(limit, view.byteLength)) return undefined;
  const short = view.getUint32(start);
  const large = short === 1 && start + 16 <= view.byteLength;
  const size = large ? Number(view.getBigUint64(start + 8)) : short === 0 ? limit - start : short;
  const body = start + (large ? 16 : 8);
  const type = String.fromCharCode(...[4, 5, 6, 7].map((offset) => view.getUint8(start + offset)));
  return size < body - start ? undefined : { type, start, body, end: Math.min(limit, start + size) };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
