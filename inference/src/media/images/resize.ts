import { growTo, newWasmMemory } from '../../wasm.js';
import type { Image } from './image.js';
import { type Kernels, openKernels, SLACK_BYTES } from './kernels.js';
import { type ResampleFilter, type Taps, tapsFor } from './taps.js';

/** Number of sizes with cached weights: images of one directory often have few sizes. */
const MAX_TAPS = 32;
/** Larger weights are not cached: those of a line of a million pixels would hold megabytes. */
const MAX_WEIGHTS_KEPT = 100_000;

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
    if (image.width === width && image.height === height) return image;
    const across = image.width === width ? undefined : this.#tapsFor(image.width, width, filter);
    const down = image.height === height ? undefined : this.#tapsFor(image.height, height, filter);
    // Weights, image, result of the columns and result of the rows are adjacent: nothing is copied in between.
    const middleBytes = across === undefined ? 0 : width * image.height * 3 + SLACK_BYTES;
    const source = tapsBytes(across) + tapsBytes(down);
    // Rows are read and written sixteen bytes at a time.
    const middle = source + image.data.length + SLACK_BYTES;
    const target = middle + middleBytes;
    const end = down === undefined ? target : target + width * height * 3 + SLACK_BYTES;
    growTo(this.#memory, end);
    new Uint8Array(this.#memory.buffer).set(image.data, source);
    if (across !== undefined) this.#resizeColumns(image, this.#store(across, 0), source, middle);
    const from = across === undefined ? source : middle;
    if (down !== undefined) this.#resizeRows(this.#store(down, tapsBytes(across)), from, target, width * 3);
    const start = down === undefined ? middle : target;
    return { width, height, data: new Uint8Array(this.#memory.buffer).slice(start, start + width * height * 3) };
  }

  #tapsFor(from: number, to: number, filter: ResampleFilter): Taps {
    const key = `${from}>${to}:${filter}`;
    const known = this.#taps.get(key);
    if (known !== undefined) return known;
    const taps = tapsFor(from, to, filter);
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
      this.#kernels.columns(from, to, count, at.offsets, at.counts, at.weights, taps.stride * 4);
    }
  }

  #resizeRows({ taps, ...at }: StoredTaps, source: number, target: number, line: number): void {
    for (let row = 0; row < taps.starts.length; row += 1) {
      const from = source + (taps.starts[row] as number) * line;
      const weights = at.weights + row * taps.stride * 4;
      this.#kernels.rows(from, target + row * line, line, weights, (taps.counts[row] as number) * 4);
    }
  }

  /** Writes weights to the kernels' memory. */
  #store(taps: Taps, offsets: number): StoredTaps {
    const count = taps.starts.length;
    const counts = offsets + count * 4;
    const weights = counts + count * 4;
    const numbers = new Int32Array(this.#memory.buffer);
    for (let index = 0; index < count; index += 1) {
      numbers[offsets / 4 + index] = (taps.starts[index] as number) * 3;
      numbers[counts / 4 + index] = (taps.counts[index] as number) * 4;
    }
    numbers.set(taps.weights, weights / 4);
    return { taps, offsets, counts, weights };
  }
}

/** Bytes of the weights in the kernels' memory: offsets, counts and values. */
function tapsBytes(taps: Taps | undefined): number {
  return taps === undefined ? 0 : (taps.starts.length * 2 + taps.weights.length) * 4;
}
