import { growTo, newWasmMemory } from '../../wasm.js';
import type { Image } from './image.js';
import { type Kernels, openKernels, SLACK_BYTES } from './kernels.js';
import { type Extent, type ResampleFilter, type Taps, tapsFor } from './taps.js';

/** Number of sizes with cached weights: images of one directory often have few sizes. */
const MAX_TAPS = 32;
/** Larger weights are not cached: those of a line of a million pixels would hold megabytes. */
const MAX_WEIGHTS_KEPT = 100_000;

/** A weight in two parts of 16 bits. */
const LOW_BITS = 11;
const LOW_PART = (1 << LOW_BITS) - 1;

/** Location of one direction's weights in the kernels' memory. */
interface StoredTaps {
  readonly taps: Taps;
  readonly offsets: number;
  readonly counts: number;
  readonly weights: number;
}

/**
 * Resizes with a filter that widens as the image shrinks, like Pillow's `Image.resize`: columns first, then rows, each
 * in integers and rounded to 8 bits, so the bytes equal Pillow's (up to version 12; from 13 on Pillow begins with the
 * rows where those shrink more, which changes a few bytes by 1). The models were trained on images resized this way,
 * and small models are sensitive to it: libvips positions its filters differently at the borders. Method: Pillow,
 * Resample.c.
 *
 * Owns memory for the largest image resized so far.
 */
export class ImageResizer {
  readonly #memory = newWasmMemory();
  readonly #kernels: Kernels = openKernels(this.#memory);
  readonly #taps = new Map<string, Taps>();

  resize(image: Image, width: number, height: number, filter: ResampleFilter): Image {
    const extent = image.extent ?? { x: 0, y: 0, width: image.width, height: image.height };
    const sameWidth = image.width === width && extent.width === width;
    const sameHeight = image.height === height && extent.height === height;
    if (sameWidth && sameHeight) return image;
    const columns = { start: extent.x, length: extent.width };
    const rows = { start: extent.y, length: extent.height };
    const across = sameWidth ? undefined : this.#tapsFor(image.width, width, filter, columns);
    const down = sameHeight ? undefined : this.#tapsFor(image.height, height, filter, rows);
    // Weights, image, result of the columns and result of the rows are adjacent: nothing is copied in between.
    const middleBytes = across === undefined ? 0 : width * image.height * 3 + SLACK_BYTES;
    const rowTaps = across === undefined ? 0 : tapsBytes(across, pairedStride(across));
    const source = rowTaps + (down === undefined ? 0 : tapsBytes(down, down.stride));
    // Rows are read and written sixteen bytes at a time.
    const middle = source + image.data.length + SLACK_BYTES;
    const target = middle + middleBytes;
    const end = down === undefined ? target : target + width * height * 3 + SLACK_BYTES;
    growTo(this.#memory, end);
    new Uint8Array(this.#memory.buffer).set(image.data, source);
    if (across !== undefined) this.#resizeColumns(image, this.#storePairs(across, 0), source, middle);
    const from = across === undefined ? source : middle;
    if (down !== undefined) this.#resizeRows(this.#store(down, rowTaps), from, target, width * 3);
    const start = down === undefined ? middle : target;
    return { width, height, data: new Uint8Array(this.#memory.buffer).slice(start, start + width * height * 3) };
  }

  #tapsFor(from: number, to: number, filter: ResampleFilter, extent: Extent): Taps {
    const key = `${from}>${to}:${filter}:${extent.start}+${extent.length}`;
    const known = this.#taps.get(key);
    if (known !== undefined) return known;
    const taps = tapsFor(from, to, filter, extent);
    if (taps.weights.length > MAX_WEIGHTS_KEPT) return taps;
    for (const oldest of this.#taps.keys()) {
      if (this.#taps.size < MAX_TAPS) break;
      this.#taps.delete(oldest);
    }
    this.#taps.set(key, taps);
    return taps;
  }

  #resizeColumns({ width, height }: Image, { taps, ...at }: StoredTaps, source: number, target: number): void {
    const count = taps.starts.length;
    for (let row = 0; row < height; row += 1) {
      const [from, to] = [source + row * width * 3, target + row * count * 3];
      this.#kernels.columns(from, to, count, at.offsets, at.counts, at.weights, pairedStride(taps) * 4);
    }
  }

  #resizeRows({ taps, ...at }: StoredTaps, source: number, target: number, line: number): void {
    for (let row = 0; row < taps.starts.length; row += 1) {
      const from = source + (taps.starts[row] as number) * line;
      const weights = at.weights + row * taps.stride * 4;
      this.#kernels.rows(from, target + row * line, line, weights, (taps.counts[row] as number) * 4);
    }
  }

  /** Writes weights to the kernels' memory, one by one. */
  #store(taps: Taps, offsets: number): StoredTaps {
    const stored = this.#storeRanges(taps, offsets, 1);
    new Int32Array(this.#memory.buffer).set(taps.weights, stored.weights / 4);
    return stored;
  }

  /** Writes weights in pairs, as `columns` of the kernels reads them. */
  #storePairs(taps: Taps, offsets: number): StoredTaps {
    const stored = this.#storeRanges(taps, offsets, 2);
    const stride = pairedStride(taps);
    const parts = new Int16Array(this.#memory.buffer, stored.weights, taps.starts.length * stride * 2);
    parts.fill(0);
    for (const [index, count] of taps.counts.entries()) {
      for (let tap = 0; tap < count; tap += 1) {
        const weight = taps.weights[index * taps.stride + tap] as number;
        const at = (index * stride + (tap & ~1)) * 2 + (tap & 1);
        parts[at] = weight & LOW_PART;
        parts[at + 2] = weight >> LOW_BITS;
      }
    }
    return stored;
  }

  /** Writes where the weights of each pixel apply. They are read in groups. */
  #storeRanges(taps: Taps, offsets: number, group: 1 | 2): StoredTaps {
    const count = taps.starts.length;
    const counts = offsets + count * 4;
    const numbers = new Int32Array(this.#memory.buffer);
    for (let index = 0; index < count; index += 1) {
      numbers[offsets / 4 + index] = (taps.starts[index] as number) * 3;
      numbers[counts / 4 + index] = Math.ceil((taps.counts[index] as number) / group) * group * 4;
    }
    return { taps, offsets, counts, weights: counts + count * 4 };
  }
}

/** 32-bit numbers per pixel of weights in pairs. */
function pairedStride({ stride }: Taps): number {
  return stride + (stride % 2);
}

/** Bytes of the weights in the kernels' memory: offsets, counts and `stride` values each. */
function tapsBytes({ starts }: Taps, stride: number): number {
  return starts.length * (2 + stride) * 4;
}
