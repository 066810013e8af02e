/**
 * Reads the parts of an MP4 or QuickTime index that mediabunny ignores: all entries of an edit list with their durations, the
 * encoder's delay in a tag, and the configuration of ALAC (ISO 14496-12, QuickTime File Format).
 */
import { viewOf } from '../../bytes.js';

/** A segment of a track's media, an entry of the edit list. */
export interface Edit {
  /** Start in the media, seconds. */
  readonly mediaSeconds: number;
  /** Start in the movie (its presentation timeline), seconds. */
  readonly movieSeconds: number;
  /** Duration, seconds; infinite if unspecified. */
  readonly seconds: number;
}

export interface IndexedTrack {
  /** Empty: the whole media is played. */
  readonly edits: readonly Edit[];
  /** What is played without an edit list: the media without the encoder's delay and padding, from iTunes' tag. */
  readonly gapless: Edit | undefined;
  /** ALACSpecificConfig. */
  readonly alacConfig: Uint8Array | undefined;
  /** Whether it is encrypted. */
  readonly encrypted: boolean;
}

export interface Mp4Index {
  /** By track id. */
  readonly tracks: ReadonlyMap<number, IndexedTrack>;
  /** Whether the media is fragmented, with an index per fragment. */
  readonly fragmented: boolean;
}

interface Box {
  readonly type: string;
  readonly body: DataView;
}

const BOXES_MAX = 100_000;
const EDITS_MAX = 10_000;
const EDIT_BYTES = { 0: 12, 1: 20 } as const;
const ALAC_CONFIG_BYTES = 24;

/** Reads the index from the body of the `moov` box. Returns the readable part of a damaged index. */
export function readMp4Index(moov: Uint8Array): Mp4Index {
  const tracks = new Map<number, IndexedTrack>();
  const boxes = boxesOf(viewOf(moov));
  const header = boxes.find(({ type }) => type === 'mvhd')?.body;
  const movieScale = header === undefined ? 0 : timescaleOf(header);
  const fragmented = boxes.some(({ type }) => type === 'mvex');
  const delay = isAudioAlone(boxes) ? encoderDelayOf(boxes) : undefined;
  for (const { body } of boxes.filter(({ type }) => type === 'trak')) {
    const id = trackIdOf(body);
    const mediaHeader = find(body, ['mdia', 'mdhd']);
    if (id === undefined || mediaHeader === undefined) continue;
    const list = find(body, ['edts', 'elst']);
    const edits =
      list === undefined ? [] : readEdits(list, { movieScale, mediaScale: timescaleOf(mediaHeader), fragmented });
    const gapless = edits.length > 0 || delay === undefined ? undefined : gaplessPart(delay, mediaHeader);
    tracks.set(id, { edits, gapless, alacConfig: alacConfigOf(body), encrypted: entryOf(body, 'enca') !== undefined });
  }
  return { tracks, fragmented };
}

function readEdits(
  list: DataView,
  scales: { readonly movieScale: number; readonly mediaScale: number; readonly fragmented: boolean },
): readonly Edit[] {
  const { movieScale, mediaScale, fragmented } = scales;
  if (list.byteLength < 8 || movieScale <= 0 || mediaScale <= 0) return [];
  const version = list.getUint8(0) === 1 ? 1 : 0;
  const size = EDIT_BYTES[version];
  const count = Math.min(list.getUint32(4), Math.floor((list.byteLength - 8) / size), EDITS_MAX);
  const edits: Edit[] = [];
  let movieSeconds = 0;
  for (let index = 0; index < count; index++) {
    const at = 8 + index * size;
    const duration = version === 1 ? Number(list.getBigUint64(at)) : list.getUint32(at);
    const mediaTime = version === 1 ? Number(list.getBigInt64(at + 8)) : list.getInt32(at + 4);
    const seconds = duration / movieScale;
    if (mediaTime >= 0) {
      // With fragments, the duration was unknown when the index was written; 0 means the same.
      const open = index === count - 1 && (duration === 0 || fragmented);
      edits.push({
        mediaSeconds: mediaTime / mediaScale,
        movieSeconds,
        seconds: open ? Number.POSITIVE_INFINITY : seconds,
      });
    }
    movieSeconds += seconds;
  }
  return edits;
}

/** The tag counts the times of a track; with a video track, its frames keep the whole media's times. */
function isAudioAlone(boxes: readonly Box[]): boolean {
  const tracks = boxes.filter(({ type }) => type === 'trak');
  return tracks.length === 1 && find(tracks[0]?.body as DataView, ['mdia', 'minf', 'smhd']) !== undefined;
}

/** The samples before, after and in the audio that iTunes' tag tells. */
interface EncoderDelay {
  readonly before: number;
  readonly after: number;
  readonly samples: number;
}

const DELAY_TAG = 'iTunSMPB';
const HEX_FIELDS = /^\s*[\da-f]{8}\s+([\da-f]{8})\s+([\da-f]{8})\s+([\da-f]{16})/i;
/** Size of the version, type and locale before the text of a `data` box. */
const DATA_HEADER_BYTES = 8;

/** Reads the tag "iTunSMPB": hexadecimal numbers, the second to fourth of which are the delay, the padding and the length. */
function encoderDelayOf(boxes: readonly Box[]): EncoderDelay | undefined {
  const user = boxes.find(({ type }) => type === 'udta')?.body;
  const meta = user && find(user, ['meta']);
  const list = meta && find(part(meta, 4), ['ilst']);
  for (const { type, body } of list === undefined ? [] : boxesOf(list)) {
    const name = type === '----' ? find(body, ['name']) : undefined;
    const data = type === '----' ? find(body, ['data']) : undefined;
    if (name === undefined || data === undefined || latin1Of(part(name, 4)) !== DELAY_TAG) continue;
    const [, before, after, samples] = HEX_FIELDS.exec(latin1Of(part(data, DATA_HEADER_BYTES))) ?? [];
    if (before === undefined || after === undefined || samples === undefined) return undefined;
    return {
      before: Number.parseInt(before, 16),
      after: Number.parseInt(after, 16),
      samples: Number.parseInt(samples, 16),
    };
  }
  return undefined;
}

/** Tolerance of the tag's sum as a fraction of the media. */
const DELAY_TOLERANCE = 0.01;

/**
 * Returns the played part of the media. For HE-AAC, encoders count the tag's samples at the rate of the core or at its double:
 * the sum of the three is the whole media, whose duration tells the rate. Undefined if they contradict each other.
 */
function gaplessPart({ before, after, samples }: EncoderDelay, mediaHeader: DataView): Edit | undefined {
  const scale = timescaleOf(mediaHeader);
  const ticks = durationOf(mediaHeader);
  const rate = [scale, scale / 2, scale * 2].find(
    (each) => Math.abs(((before + after + samples) / each) * scale - ticks) <= ticks * DELAY_TOLERANCE,
  );
  if (rate === undefined || ticks <= 0 || scale <= 0 || samples <= 0) return undefined;
  return { mediaSeconds: before / rate, movieSeconds: 0, seconds: samples / rate };
}

function trackIdOf(track: DataView): number | undefined {
  const header = find(track, ['tkhd']);
  const at = header !== undefined && header.byteLength > 0 && header.getUint8(0) === 1 ? 20 : 12;
  return header === undefined || header.byteLength < at + 4 ? undefined : header.getUint32(at);
}

/** Returns the timescale of `mvhd` or `mdhd`. */
function timescaleOf(header: DataView): number {
  const at = header.byteLength > 0 && header.getUint8(0) === 1 ? 20 : 12;
  return header.byteLength < at + 4 ? 0 : header.getUint32(at);
}

/** Returns the duration in `mdhd`, in its timescale; 0 if unknown. */
function durationOf(header: DataView): number {
  const long = header.byteLength > 0 && header.getUint8(0) === 1;
  if (header.byteLength < (long ? 32 : 20)) return 0;
  return long ? Number(header.getBigUint64(24)) : header.getUint32(16);
}

/** The configuration is in the sample entry, or in its `wave` in QuickTime, whose entries have three header lengths. */
function alacConfigOf(track: DataView): Uint8Array | undefined {
  const entry = entryOf(track, 'alac');
  if (entry === undefined || entry.byteLength < 28) return undefined;
  const headerBytes = { 1: 44, 2: 64 }[entry.getUint16(8)] ?? 28;
  if (entry.byteLength < headerBytes) return undefined;
  const inside = part(entry, headerBytes);
  const setup = find(inside, ['alac']) ?? find(inside, ['wave', 'alac']);
  if (setup === undefined || setup.byteLength < 4 + ALAC_CONFIG_BYTES) return undefined;
  return new Uint8Array(setup.buffer, setup.byteOffset + 4, setup.byteLength - 4).slice();
}

function entryOf(track: DataView, name: string): DataView | undefined {
  const descriptions = find(track, ['mdia', 'minf', 'stbl', 'stsd']);
  if (descriptions === undefined || descriptions.byteLength < 8) return undefined;
  return boxesOf(part(descriptions, 8)).find(({ type }) => type === name)?.body;
}

function find(view: DataView, path: readonly string[]): DataView | undefined {
  let body: DataView | undefined = view;
  for (const name of path) body = body && boxesOf(body).find(({ type }) => type === name)?.body;
  return body;
}

/** Returns the boxes of a box's body. A size beyond the body is cut to it. */
function boxesOf(view: DataView): readonly Box[] {
  const boxes: Box[] = [];
  for (let at = 0; at + 8 <= view.byteLength && boxes.length < BOXES_MAX; ) {
    const size = view.getUint32(at);
    const type = String.fromCharCode(...[4, 5, 6, 7].map((offset) => view.getUint8(at + offset)));
    const large = size === 1 && at + 16 <= view.byteLength;
    const headerBytes = large ? 16 : 8;
    const whole = size === 0 ? view.byteLength - at : large ? Number(view.getBigUint64(at + 8)) : size;
    if (whole < headerBytes) break;
    boxes.push({
      type,
      body: part(view, at + headerBytes, Math.min(whole - headerBytes, view.byteLength - at - headerBytes)),
    });
    at += whole;
  }
  return boxes;
}

function part(view: DataView, start: number, length = view.byteLength - start): DataView {
  return new DataView(view.buffer, view.byteOffset + start, Math.max(0, length));
}

function latin1Of(view: DataView): string {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('latin1');
}
