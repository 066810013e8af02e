/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The number of bytes in a range. */
export function lengthOf(range: ByteRange): number {
  return range.end - range.start;
}

/** A set of byte positions, kept as sorted ranges that neither touch nor overlap. A value object without any input or output. */
export class RangeSet {
  #ranges: ByteRange[] = [];

  constructor(ranges: Iterable<ByteRange> = []) {
    for (const range of ranges) this.add(range);
  }

  /** The ranges, lowest first. */
  get ranges(): readonly ByteRange[] {
    return this.#ranges;
  }

  /** How many bytes the set holds. */
  get sizeBytes(): number {
    return this.#ranges.reduce((total, range) => total + lengthOf(range), 0);
  }

  /** Adds a range; an empty one changes nothing. */
  add(range: ByteRange): void {
    if (range.end <= range.start) return;
    let { start, end } = range;
    const kept: ByteRange[] = [];
    for (const other of this.#ranges) {
      if (other.end < start || other.start > end) {
        kept.push(other);
      } else {
        start = Math.min(start, other.start);
        end = Math.max(end, other.end);
      }
    }
    kept.push({ start, end });
    this.#ranges = kept.sort((a, b) => a.start - b.start);
  }

  /** The first position at or after `position` that the set does not hold. */
  endOfRunAt(position: number): number {
    const run = this.#ranges.find((range) => range.start <= position && position < range.end);
    return run?.end ?? position;
  }

  /** What of `[0, sizeBytes)` the set does not hold, lowest first. */
  missing(sizeBytes: number): ByteRange[] {
    const gaps: ByteRange[] = [];
    let position = 0;
    for (const range of this.#ranges) {
      if (range.start >= sizeBytes) break;
      if (range.start > position) gaps.push({ start: position, end: range.start });
      position = range.end;
    }
    if (position < sizeBytes) gaps.push({ start: position, end: sizeBytes });
    return gaps;
  }
}

/** Cuts ranges into parts of at most `partBytes`, in order: each is what one request asks for. */
export function cutIntoParts(ranges: readonly ByteRange[], partBytes: number): ByteRange[] {
  const parts: ByteRange[] = [];
  for (const range of ranges) {
    for (let start = range.start; start < range.end; start += partBytes) {
      parts.push({ start, end: Math.min(start + partBytes, range.end) });
    }
  }
  return parts;
}
