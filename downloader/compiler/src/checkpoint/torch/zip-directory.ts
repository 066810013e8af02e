import { basename } from 'node:path';
import { CompilerError } from '../../errors.js';
import { MAX_CONTENTS_BYTES, type PositionedFile, shown } from '../checkpoint.js';

/** Location of a zip entry's bytes. */
export interface ZipEntry {
  readonly offset: number;
  readonly sizeBytes: number;
}

const END_OF_DIRECTORY = 0x06054b50;
const END_OF_DIRECTORY_BYTES = 22;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_LOCATOR_BYTES = 20;
const ZIP64_END = 0x06064b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const MAX_COMMENT_BYTES = 0xffff;
const IN_ZIP64 = 0xffffffff;

/**
 * Returns the entries of a zip whose files are stored and not deflated, as torch.save writes them, by name. They are read in place:
 * a zip library would copy gigabytes out of the archive. Throws CHECKPOINT_INVALID.
 *
 * Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
 */
export function readZipDirectory(file: PositionedFile): ReadonlyMap<string, ZipEntry> {
  const invalid = (found: string) =>
    new CompilerError(
      'CHECKPOINT_INVALID',
      `Expected ${basename(file.path)} to be a whole zip archive, got ${found}. Download it again.`,
    );
  const { count, directoryBytes, directoryOffset } = endOf(file, invalid);
  if (directoryOffset + directoryBytes > file.sizeBytes || directoryBytes > MAX_CONTENTS_BYTES) {
    throw invalid(`a directory of ${directoryBytes} bytes at byte ${directoryOffset}`);
  }
  const directory = file.read(directoryOffset, directoryBytes);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let index = 0; index < count; index++) {
    if (at + 46 > directory.length || directory.readUInt32LE(at) !== DIRECTORY_ENTRY) {
      throw invalid(`${index} of ${count} entries in its directory`);
    }
    const nameBytes = directory.readUInt16LE(at + 28);
    const extraBytes = directory.readUInt16LE(at + 30);
    const name = directory.toString('utf8', at + 46, at + 46 + nameBytes);
    if (entries.has(name)) throw invalid(`${shown(name)} twice`);
    const sizes = sizesOf(directory.subarray(at, at + 46 + nameBytes + extraBytes), 46 + nameBytes);
    const isEncrypted = (directory.readUInt16LE(at + 8) & 1) === 1;
    if (isEncrypted || directory.readUInt16LE(at + 10) !== 0 || sizes.stored !== sizes.whole) {
      throw new CompilerError(
        'CHECKPOINT_UNSUPPORTED',
        `Expected the entries of ${basename(file.path)} to be stored, got ${shown(name)} compressed or encrypted. Save it again with torch.save.`,
      );
    }
    const header = file.read(sizes.offset, 30);
    if (header.length < 30 || header.readUInt32LE(0) !== LOCAL_HEADER)
      throw invalid(`no entry ${shown(name)} at byte ${sizes.offset}`);
    const offset = sizes.offset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
    if (offset + sizes.whole > file.sizeBytes) throw invalid(`entry ${shown(name)} beyond its end`);
    entries.set(name, { offset, sizeBytes: sizes.whole });
    at += 46 + nameBytes + extraBytes + directory.readUInt16LE(at + 32);
  }
  return entries;
}

interface DirectoryLocation {
  readonly count: number;
  readonly directoryBytes: number;
  readonly directoryOffset: number;
}

function endOf(file: PositionedFile, invalid: (found: string) => CompilerError): DirectoryLocation {
  const tailBytes = Math.min(file.sizeBytes, MAX_COMMENT_BYTES + END_OF_DIRECTORY_BYTES + ZIP64_LOCATOR_BYTES);
  const tail = file.read(file.sizeBytes - tailBytes, tailBytes);
  let at = tail.length - END_OF_DIRECTORY_BYTES;
  while (at >= 0 && tail.readUInt32LE(at) !== END_OF_DIRECTORY) at--;
  if (at < 0) throw invalid('no directory at its end');
  const locator = at - ZIP64_LOCATOR_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== ZIP64_LOCATOR) {
    return {
      count: tail.readUInt16LE(at + 10),
      directoryBytes: tail.readUInt32LE(at + 12),
      directoryOffset: tail.readUInt32LE(at + 16),
    };
  }
  const end = file.read(Number(tail.readBigUInt64LE(locator + 8)), 56);
  if (end.length < 56 || end.readUInt32LE(0) !== ZIP64_END) throw invalid('no zip64 directory where it should be');
  return {
    count: Number(end.readBigUInt64LE(32)),
    directoryBytes: Number(end.readBigUInt64LE(40)),
    directoryOffset: Number(end.readBigUInt64LE(48)),
  };
}

/** Sizes and offset of an entry; values of 4 GiB and more are in its zip64 field. */
function sizesOf(entry: Buffer, extraOffset: number): { whole: number; stored: number; offset: number } {
  const sizes = { stored: entry.readUInt32LE(20), whole: entry.readUInt32LE(24), offset: entry.readUInt32LE(42) };
  for (let at = extraOffset; at + 4 <= entry.length; at += 4 + entry.readUInt16LE(at + 2)) {
    if (entry.readUInt16LE(at) !== 1) continue;
    let field = at + 4;
    for (const size of ['whole', 'stored', 'offset'] as const) {
      if (sizes[size] !== IN_ZIP64 || field + 8 > entry.length) continue;
      sizes[size] = Number(entry.readBigUInt64LE(field));
      field += 8;
    }
  }
  return sizes;
}
