import { DamagedImage } from '../errors.js';
import type { Size } from '../image.js';

const MEMORY_SECTION = 5;
const HEADER_BYTES = 8;
const PAGE_BYTES = 65_536;

/**
 * A WebAssembly module whose memory never grows above `maxBytes`: the limit is written into its memory section. Throws
 * for a module without exactly one memory. Layout: WebAssembly Core, section 5.5.8.
 */
export function limitWasmMemory(module: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  const pages = Math.floor(maxBytes / PAGE_BYTES);
  for (let at = HEADER_BYTES; at < module.length; ) {
    const size = readNumber(module, at + 1);
    const end = size.next + size.value;
    if (module[at] === MEMORY_SECTION) {
      const count = readNumber(module, size.next);
      if (count.value !== 1) break;
      const min = readNumber(module, count.next + 1);
      const body = [1, 1, ...writeNumber(min.value), ...writeNumber(Math.max(pages, min.value))];
      return Uint8Array.from(
        Buffer.concat([
          module.subarray(0, at),
          Uint8Array.of(MEMORY_SECTION, ...writeNumber(body.length), ...body),
          module.subarray(end),
        ]),
      );
    }
    at = end;
  }
  throw new Error('Expected a WebAssembly module with one memory of its own.');
}

/** LEB128, like all numbers of the format. */
function readNumber(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  return { value, next: at };
}

function writeNumber(value: number): readonly number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...writeNumber(Math.floor(value / 128))];
}

/** A decoder that finds a size other than the header's got memory for another image. */
export function checkDecodedSize(got: Size, expected: Size): void {
  if (got.width === expected.width && got.height === expected.height) return;
  throw new DamagedImage(
    `its header says ${expected.width} x ${expected.height} pixels, its content ${got.width} x ${got.height}`,
  );
}
