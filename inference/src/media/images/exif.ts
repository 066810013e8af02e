import { latin1, viewOf } from '../bytes.js';
import { boxesOf } from './boxes.js';
import { DamagedImage } from './errors.js';

/** What EXIF data begins with: a byte order and 42, as TIFF does. */
const HEADERS = [Buffer.from('II*\0', 'latin1'), Buffer.from('MM\0*', 'latin1')];
const LITTLE_ENDIAN = 0x49;
/** Tags that refer to the directories of EXIF, GPS and interoperability. */
const REFERENCES: readonly number[] = [0x8769, 0x8825, 0xa005];
/** Files have three, some a few more for their thumbnail. */
const MAX_REFERENCES = 16;
/** Files have EXIF data once, and some within a maker note or another image. */
const MAX_HEADERS = 32;
const ENTRY_BYTES = 12;

/**
 * Throws DamagedImage for EXIF data with more references to its directories than there are. libvips reads EXIF with libexif, which follows
 * each of them, so its time grows with the square of their number, and nothing can stop it: 60 kB took 45 s. Layout: Exif 2.32, sections
 * 4.5.2 and 4.6.3.
 */
export function checkExif(content: Uint8Array): void {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const view = viewOf(content);
  let headers = 0;
  for (const header of HEADERS) {
    for (let at = bytes.indexOf(header); at >= 0; at = bytes.indexOf(header, at + 1)) {
      const little = bytes[at] === LITTLE_ENDIAN;
      // The same four bytes among pixels are followed by no such offset.
      if (at + 8 > bytes.length || at + view.getUint32(at + 4, little) >= bytes.length) continue;
      headers += 1;
      if (headers > MAX_HEADERS || countReferences(view, at, little) > MAX_REFERENCES) {
        throw new DamagedImage('its EXIF data refers to more directories than there are');
      }
    }
  }
}

/** References in the directories of EXIF data that begins at `start`; stops above MAX_REFERENCES. */
function countReferences(view: DataView, start: number, little: boolean): number {
  const first = start + view.getUint32(start + 4, little);
  const directories = new Set([first]);
  let references = 0;
  // The loop includes those that are added meanwhile.
  for (const directory of directories) {
    if (directory + 2 > view.byteLength) continue;
    const room = Math.floor((view.byteLength - directory - 2) / ENTRY_BYTES);
    const count = view.getUint16(directory, little);
    const end = directory + 2 + Math.min(room, count) * ENTRY_BYTES;
    for (let entry = directory + 2; entry < end; entry += ENTRY_BYTES) {
      if (!REFERENCES.includes(view.getUint16(entry, little))) continue;
      references += 1;
      if (references > MAX_REFERENCES) return references;
      directories.add(start + view.getUint32(entry + 8, little));
    }
    // The directory of the thumbnail.
    if (directory === first && room > count) directories.add(start + view.getUint32(end, little));
  }
  return references;
}

/**
 * The file with its EXIF items renamed, so that libvips does not read them: their content may be in several pieces, which no search
 * finds. The turns of a HEIF image are properties of its own, not EXIF's. Of several `meta` boxes libheif takes another than the first.
 */
export function withoutExif(content: Uint8Array): Uint8Array {
  let copy: Buffer | undefined;
  for (const meta of boxesOf(content, 'meta')) {
    // libvips ignores the case of a type.
    for (const { index } of latin1(content, meta.start, meta.end).matchAll(/exif/gi)) {
      copy ??= Buffer.from(content);
      copy.write('none', meta.start + index, 'latin1');
    }
  }
  return copy ?? content;
}
