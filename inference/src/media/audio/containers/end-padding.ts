import { numberOf, readHeader } from './ebml.js';

const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const DISCARD_PADDING = 0x75a2;
const NANOSECONDS = 1e9;

/** What the last block of each track of Matroska has too much at its end (RFC 9559, 5.1.3.5.7): the demuxer does not tell it. */
export class EndPadding {
  readonly #seconds = new Map<number, number>();

  /** Of a track's last block that was read. */
  secondsOf(track: number): number {
    return this.#seconds.get(track) ?? 0;
  }

  /** Reads a complete element of a cluster. */
  read(element: Uint8Array): void {
    const header = readHeader(element, 0);
    if (header === undefined) return;
    const body = element.subarray(header.headerBytes);
    if (header.id === SIMPLE_BLOCK) this.#seconds.set(trackOf(body), 0);
    if (header.id === BLOCK_GROUP) this.#readGroup(body);
  }

  #readGroup(group: Uint8Array): void {
    let track: number | undefined;
    let seconds = 0;
    for (let at = 0; at < group.length; ) {
      const header = readHeader(group, at);
      if (header?.size === undefined) break;
      const from = at + header.headerBytes;
      at = from + header.size;
      const body = group.subarray(from, at);
      if (header.id === BLOCK) track = trackOf(body);
      // A negative one is at the beginning of the block.
      if (header.id === DISCARD_PADDING && (body[0] ?? 0) < 0x80) seconds = numberOf(body) / NANOSECONDS;
    }
    if (track !== undefined) this.#seconds.set(track, seconds);
  }
}

/** The number with which the body of a block begins. */
function trackOf(body: Uint8Array): number {
  const first = body[0] ?? 0;
  const bytes = Math.clz32(first) - 23;
  return numberOf(body.subarray(1, bytes), first & (0xff >> bytes));
}
