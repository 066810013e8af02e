import { growTo, newWasmMemory } from '../../wasm.js';
import type { Image } from './image.js';
import { type Kernels, openKernels, SLACK_BYTES } from './kernels.js';

/** The integer weights of two neighbours sum to this. */
const ONE = 2048;
/** Bytes of source lines processed at a time. */
const BAND_BYTES = 1024 * 1024;
/** Number of sizes with cached neighbours: enlarged parts of images have few. */
const MAX_NEIGHBOURS = 32;
/** Longer lines are not cached. */
const MAX_KEPT = 4096;
const COLUMN_NUMBERS = 3;

/**
 * Resizes by looking up the four nearest pixels, as OpenCV's INTER_LINEAR does, to its rounding. It sees nothing between
 * them: below half the size use ImageResizer, which averages. Method: OpenCV, imgproc/resize.
 */
export class ImageInterpolator {
  readonly #memory = newWasmMemory();
  readonly #kernels: Kernels = openKernels(this.#memory);
  readonly #neighbours = new Map<string, Neighbours>();

  resize(image: Image, width: number, height: number): Image {
    if (image.width === width && image.height === height) return image;
    const columns = this.#neighboursOf(image.width, width);
    const rows = this.#neighboursOf(image.height, height);
    const data = new Uint8Array(width * height * 3);
    const line = image.width * 3;
    const most = Math.max(1, Math.floor(BAND_BYTES / line));
    for (let row = 0; row < height; ) {
      const from = rows.first[row] as number;
      let end = row + 1;
      while (end < height && (rows.second[end] as number) < from + most) end += 1;
      const source = image.data.subarray(from * line, ((rows.second[end - 1] as number) + 1) * line);
      data.set(this.#resizeBand(source, { line, from, row, end, width }, columns, rows), row * width * 3);
      row = end;
    }
    return { width, height, data };
  }

  /** Rows `row` to `end` of the result, from source lines that begin with line `from`. A view of the memory. */
  #resizeBand(
    source: Uint8Array,
    { line, from, row, end, width }: Readonly<Record<'line' | 'from' | 'row' | 'end' | 'width', number>>,
    columns: Neighbours,
    rows: Neighbours,
  ): Uint8Array {
    const lineBytes = width * 3 * 2 + SLACK_BYTES;
    const linesAt = width * COLUMN_NUMBERS * 4;
    const sourceAt = linesAt + 2 * lineBytes;
    const targetAt = sourceAt + source.length + SLACK_BYTES;
    const bytes = (end - row) * width * 3;
    growTo(this.#memory, targetAt + bytes + SLACK_BYTES);
    const numbers = new Int32Array(this.#memory.buffer, 0, width * COLUMN_NUMBERS);
    for (let column = 0; column < width; column += 1) {
      numbers[column * COLUMN_NUMBERS] = (columns.first[column] as number) * 3;
      numbers[column * COLUMN_NUMBERS + 1] = (columns.second[column] as number) * 3;
      numbers[column * COLUMN_NUMBERS + 2] = columns.weight[column] as number;
    }
    new Uint8Array(this.#memory.buffer).set(source, sourceAt);
    // Enlarging, several lines of the result lie between the same two of the image.
    const held = [-1, -1];
    const across = (sourceRow: number): number => {
      const slot = sourceRow % 2;
      const lineAt = linesAt + slot * lineBytes;
      if (held[slot] !== sourceRow) this.#kernels.across(sourceAt + (sourceRow - from) * line, lineAt, width, 0);
      held[slot] = sourceRow;
      return lineAt;
    };
    for (let at = row; at < end; at += 1) {
      const above = across(rows.first[at] as number);
      const below = across(rows.second[at] as number);
      this.#kernels.between(above, below, targetAt + (at - row) * width * 3, width * 3, rows.weight[at] as number);
    }
    return new Uint8Array(this.#memory.buffer, targetAt, bytes);
  }

  #neighboursOf(from: number, to: number): Neighbours {
    const key = `${from}>${to}`;
    const known = this.#neighbours.get(key);
    if (known !== undefined) return known;
    const made = neighbours(from, to);
    if (to > MAX_KEPT) return made;
    if (this.#neighbours.size >= MAX_NEIGHBOURS) this.#neighbours.clear();
    this.#neighbours.set(key, made);
    return made;
  }
}

interface Neighbours {
  readonly first: Int32Array;
  readonly second: Int32Array;
  /** Weight of the second, in units of ONE. */
  readonly weight: Int32Array;
}

function neighbours(from: number, to: number): Neighbours {
  const result = { first: new Int32Array(to), second: new Int32Array(to), weight: new Int32Array(to) };
  const scale = 1 / (to / from);
  for (let index = 0; index < to; index += 1) {
    // Single precision, so that weights exactly half way round to the same side.
    const at = Math.fround((index + 0.5) * scale - 0.5);
    const first = Math.floor(at);
    result.first[index] = Math.max(0, first);
    result.second[index] = Math.min(first + 1, from - 1);
    result.weight[index] = roundHalfEven(Math.fround(at - first) * ONE);
  }
  return result;
}

function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
