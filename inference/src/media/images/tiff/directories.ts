import { orNothing, viewOf } from '../../bytes.js';
import { DamagedImage } from '../errors.js';

/** Tags used, named as in TIFF 6.0, its supplements and DNG. */
export const TAG = {
  newSubfileType: 254,
  subfileType: 255,
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  samplesPerPixel: 277,
  planarConfiguration: 284,
  tileWidth: 322,
  subIfds: 330,
  extraSamples: 338,
  sampleFormat: 339,
  iccProfile: 34_675,
  dngVersion: 50_706,
} as const;

/** One image of a TIFF file: tag values by tag number. */
export interface TiffDirectory {
  /** Where it begins, and where it names the next one. */
  readonly at: number;
  readonly nextAt: number;
  readonly tags: ReadonlyMap<number, readonly number[]>;
  /** Entries of LARGEST whose value is none of them, and that of planes where there is only one. */
  readonly invalid: readonly number[];
  /** Its SubIFDs, one level deep. */
  readonly children: readonly TiffDirectory[];
}

/**
 * The largest value of tags that are often 0, for unknown: Orientation and ResolutionUnit. libtiff ignores such a value but reports it as
 * an error, for which libvips refuses the whole image.
 */
const LARGEST: ReadonlyMap<number, number> = new Map([
  [274, 8],
  [296, 3],
]);

/** Maximum directories; ends loops. Real files have fewer. */
const MAX_DIRECTORIES = 1_000;
const MAX_CHILDREN = 16;
const MAX_ENTRIES = 4_096;
/** Maximum entries of all directories: those of 16,000 SubIFDs may lie in the same few bytes, and nothing else runs meanwhile. */
const MAX_ENTRIES_OF_FILE = 200_000;
/**
 * The values of a directory's tags together are at most this many times as long as the file. libtiff reads those of each tag,
 * before any time limit applies: 4,000 tags that share 4 MB took 29 s.
 */
const MAX_SHARED = 4;
/** Maximum values per tag; longer ones are content, such as strip offsets. */
const MAX_VALUES = 64;

const TYPE_SIZES: Readonly<Record<number, number>> = {
  1: 1,
  2: 1,
  3: 2,
  4: 4,
  6: 1,
  7: 1,
  8: 2,
  9: 4,
  13: 4,
  16: 8,
  18: 8,
};

const MAX_TYPE_SIZE = 8;

/** A file's layout: byte order, and 8-byte offsets in BigTIFF. */
class TiffReader {
  readonly #view: DataView;
  readonly little: boolean;
  readonly big: boolean;
  #entries = 0;

  constructor(content: Uint8Array) {
    this.#view = viewOf(content);
    this.little = content[0] === 0x49;
    this.big = this.number(2, 2) === 43;
  }

  /** Throws a RangeError outside the file. */
  number(at: number, size: number): number {
    if (size === 1) return this.#view.getUint8(at);
    if (size === 2) return this.#view.getUint16(at, this.little);
    if (size === 4) return this.#view.getUint32(at, this.little);
    return Number(this.#view.getBigUint64(at, this.little));
  }

  get length(): number {
    return this.#view.byteLength;
  }

  get offsetSize(): number {
    return this.big ? 8 : 4;
  }

  /** Counts the entries of a directory before they are read. Throws a RangeError for too many. */
  count(entries: number): void {
    this.#entries += entries;
    if (entries > MAX_ENTRIES || this.#entries > MAX_ENTRIES_OF_FILE) throw new RangeError('too many entries');
  }
}

/**
 * Directories of a TIFF or BigTIFF in the order of the file, with the tags of TAG only. What is damaged is left out: the
 * decoder refuses it. Throws DamagedImage for tags that share bytes many times over. Layout: TIFF 6.0, section 2; Adobe's TIFF
 * Technical Note 1 (SubIFDs); BigTIFF design of libtiff.
 */
export function readTiffDirectories(content: Uint8Array): readonly TiffDirectory[] {
  const directories: TiffDirectory[] = [];
  try {
    const reader = new TiffReader(content);
    let at = reader.number(reader.big ? 8 : 4, reader.offsetSize);
    while (at !== 0 && directories.length < MAX_DIRECTORIES) {
      const directory = readDirectory(reader, at);
      directories.push({ ...directory, children: childrenOf(reader, directory.tags) });
      at = reader.number(directory.nextAt, reader.offsetSize);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return directories;
}

/**
 * The file with one directory alone, and its invalid values replaced by 1: upright, no unit, one plane. libvips reads all directories to
 * count them, and all that they refer to, before any time limit applies: 3,000 that share a profile of 4 MB took 5 s.
 */
export function withOneDirectory(
  content: Uint8Array,
  { at, nextAt, invalid, children }: Omit<TiffDirectory, 'tags'>,
): Uint8Array {
  const reader = new TiffReader(content);
  const { offsetSize } = reader;
  const firstAt = reader.big ? 8 : 4;
  const entries = [...invalid, ...children.flatMap((child) => child.invalid)];
  const isAlone = reader.number(firstAt, offsetSize) === at && reader.number(nextAt, offsetSize) === 0;
  if (isAlone && entries.length === 0) return content;
  const copy = Buffer.from(content);
  const offset = Buffer.alloc(8);
  if (reader.little) offset.writeBigUInt64LE(BigInt(at));
  else offset.writeBigUInt64BE(BigInt(at));
  offset.copy(copy, firstAt, reader.little ? 0 : 8 - offsetSize, reader.little ? offsetSize : 8);
  for (const entry of entries) {
    const value = entry + 4 + offsetSize;
    const size = TYPE_SIZES[reader.number(entry + 2, 2)] ?? 1;
    copy.fill(0, value, value + offsetSize)[reader.little ? value : value + size - 1] = 1;
  }
  return copy.fill(0, nextAt, nextAt + offsetSize);
}

function childrenOf(reader: TiffReader, tags: TiffDirectory['tags']): readonly TiffDirectory[] {
  return (tags.get(TAG.subIfds) ?? [])
    .slice(0, MAX_CHILDREN)
    .flatMap((at) => orNothing(() => ({ ...readDirectory(reader, at), children: [] })) ?? []);
}

const WANTED: ReadonlySet<number> = new Set(Object.values(TAG));

function readDirectory(reader: TiffReader, at: number): Omit<TiffDirectory, 'children'> {
  const countSize = reader.big ? 8 : 2;
  const entrySize = reader.big ? 20 : 12;
  const count = reader.number(at, countSize);
  reader.count(count);
  const tags = new Map<number, readonly number[]>();
  const invalid: number[] = [];
  let planes: number | undefined;
  let bytes = 0;
  for (let index = 0; index < count; index += 1) {
    const entry = at + countSize + index * entrySize;
    const tag = reader.number(entry, 2);
    // Of a tag that is there twice libtiff reads the first.
    if (WANTED.has(tag) && !tags.has(tag)) tags.set(tag, readValues(reader, entry));
    if (isInvalid(reader, entry, LARGEST.get(tag))) invalid.push(entry);
    if (tag === TAG.planarConfiguration) planes ??= entry;
    bytes += bytesOutside(reader, entry);
  }
  if (bytes > reader.length * MAX_SHARED) {
    throw new DamagedImage('the values of its tags together are many times as long as the file');
  }
  // One sample a pixel is one plane, but libvips refuses tiles that are called so.
  const isOnePlane = (tags.get(TAG.samplesPerPixel)?.[0] ?? 1) === 1;
  if (planes !== undefined && isOnePlane && tags.get(TAG.planarConfiguration)?.[0] === 2) invalid.push(planes);
  const nextAt = at + countSize + count * entrySize;
  if (nextAt + reader.offsetSize > reader.length) throw new RangeError('the directory ends too early');
  return { at, nextAt, tags, invalid };
}

/** Whether an entry has one value, and that is not from 1 to `largest`. */
function isInvalid(reader: TiffReader, entry: number, largest: number | undefined): boolean {
  if (largest === undefined || reader.number(entry + 4, reader.offsetSize) !== 1) return false;
  const [value] = readValues(reader, entry);
  return value !== undefined && (value < 1 || value > largest);
}

/** The bytes of an entry's values that lie elsewhere in the file. */
function bytesOutside(reader: TiffReader, entry: number): number {
  const size = TYPE_SIZES[reader.number(entry + 2, 2)] ?? MAX_TYPE_SIZE;
  const bytes = reader.number(entry + 4, reader.offsetSize) * size;
  if (bytes <= reader.offsetSize) return 0;
  return reader.number(entry + 4 + reader.offsetSize, reader.offsetSize) + bytes <= reader.length ? bytes : 0;
}

function readValues(reader: TiffReader, entry: number): readonly number[] {
  const size = TYPE_SIZES[reader.number(entry + 2, 2)];
  const count = reader.number(entry + 4, reader.offsetSize);
  if (size === undefined) return [];
  const inline = entry + 4 + reader.offsetSize;
  const at = count * size <= reader.offsetSize ? inline : reader.number(inline, reader.offsetSize);
  return Array.from({ length: Math.min(count, MAX_VALUES) }, (_, index) => reader.number(at + index * size, size));
}
