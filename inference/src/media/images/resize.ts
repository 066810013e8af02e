import { type Kernels, openKernels, SLACK_BYTES } from './kernels.js';
import type { Picture } from './picture.js';
import { type ResampleFilter, type Taps, tapsFor } from './taps.js';
import { newWasmMemory } from './wasm.js';

const PAGE_BYTES = 65_536;
/** Sizes whose weights are kept: pictures of one folder are often of few sizes. */
const MOST_TAPS = 32;

/** Where things lie in the kernels' memory. */
interface Layout {
  readonly offsets: number;
  readonly counts: number;
  readonly weights: number;
  readonly source: number;
  readonly target: number;
}

/**
 * Resizes with a filter that widens as the picture shrinks, as Pillow's `Image.resize` does: columns first, then rows, each
 * in whole numbers and rounded to 8 bits, so the bytes equal Pillow's (up to 12; from 13 on it begins with the rows where
 * those shrink more, which moves a few bytes by 1). The models were trained on pictures resized so, and small ones notice
 * a difference: libvips places its filters elsewhere at the borders. Method: Pillow, Resample.c.
 *
 * Owns some memory, as much as the largest picture needed.
 */
export class PictureResizer {
  readonly #memory = newWasmMemory();
  readonly #kernels: Kernels = openKernels(this.#memory);
  readonly #taps = new Map<string, Taps>();

  resize(picture: Picture, width: number, height: number, filter: ResampleFilter): Picture {
    const across =
      picture.width === width
        ? picture
        : this.#resizeColumns(picture, this.#tapsFor(picture.width, width, filter), width);
    return across.height === height
      ? across
      : this.#resizeRows(across, this.#tapsFor(across.height, height, filter), height);
  }

  #tapsFor(from: number, to: number, filter: ResampleFilter): Taps {
    const key = `${from}>${to}:${filter}`;
    const known = this.#taps.get(key);
    if (known !== undefined) return known;
    const taps = tapsFor(from, to, filter);
    for (const oldest of this.#taps.keys()) {
      if (this.#taps.size < MOST_TAPS) break;
      this.#taps.delete(oldest);
    }
    this.#taps.set(key, taps);
    return taps;
  }

  #resizeColumns(picture: Picture, taps: Taps, width: number): Picture {
    const sourceLine = picture.width * 3;
    const targetLine = width * 3;
    const at = this.#layOut(taps, picture.data, targetLine * picture.height);
    for (let row = 0; row < picture.height; row += 1) {
      const source = at.source + row * sourceLine;
      const target = at.target + row * targetLine;
      this.#kernels.columns(source, target, width, at.offsets, at.counts, at.weights, taps.stride * 4);
    }
    return { width, height: picture.height, data: this.#read(at.target, targetLine * picture.height) };
  }

  #resizeRows(picture: Picture, taps: Taps, height: number): Picture {
    const line = picture.width * 3;
    const at = this.#layOut(taps, picture.data, line * height);
    for (let row = 0; row < height; row += 1) {
      const source = at.source + (taps.starts[row] as number) * line;
      const weights = at.weights + row * taps.stride * 4;
      this.#kernels.rows(source, at.target + row * line, line, weights, (taps.counts[row] as number) * 4);
    }
    return { width: picture.width, height, data: this.#read(at.target, line * height) };
  }

  /** Puts weights and picture into the kernels' memory, and makes room for the answer. */
  #layOut(taps: Taps, picture: Uint8Array, targetBytes: number): Layout {
    const places = taps.starts.length;
    const counts = places * 4;
    const weights = counts + places * 4;
    const source = weights + taps.weights.length * 4;
    // The rows of a picture are read and written sixteen bytes at a time.
    const target = source + picture.length + SLACK_BYTES;
    const missing = target + targetBytes + SLACK_BYTES - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / PAGE_BYTES));
    const numbers = new Int32Array(this.#memory.buffer);
    for (let place = 0; place < places; place += 1) {
      numbers[place] = (taps.starts[place] as number) * 3;
      numbers[places + place] = (taps.counts[place] as number) * 4;
    }
    numbers.set(taps.weights, weights / 4);
    new Uint8Array(this.#memory.buffer).set(picture, source);
    return { offsets: 0, counts, weights, source, target };
  }

  #read(start: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer).slice(start, start + length);
  }
}
