/** Bytes from `start` (inclusive) to `end` (exclusive). */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A set of byte positions, stored as sorted ranges that neither touch nor overlap. Pure value object. */
export class RangeSet {
  #ranges: ByteRange[] = [];

  constructor(ranges: Iterable<ByteRange> = []) {
    for (const range of ranges) this.add(range);
  }

  /** The ranges, lowest first. */
  get ranges(): readonly ByteRange[] {
    return this.#ranges;
  }

  /** Number of bytes in the set. */
  get sizeBytes(): number {
    return this.#ranges.reduce((total, { start, end }) => total + end - start, 0);
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

  /** Returns the first position at or after `position` that is not in the set. */
  endOfRunAt(position: number): number {
    const run = this.#ranges.find((range) => range.start <= position && position < range.end);
    return run?.end ?? position;
  }

  /** Returns the ranges of `[0, sizeBytes)` that are not in the set, lowest first. */
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

/** Splits ranges into parts of at most `partBytes`, in order: one request each. */
export function cutIntoParts(ranges: readonly ByteRange[], partBytes: number): ByteRange[] {
  const parts: ByteRange[] = [];
  for (const range of ranges) {
    for (let start = range.start; start < range.end; start += partBytes) {
      parts.push({ start, end: Math.min(start + partBytes, range.end) });
    }
  }
  return parts;
}
