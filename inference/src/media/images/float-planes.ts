import { growTo, newWasmMemory } from '../../wasm.js';
import type { Image, Size } from './image.js';
import { type Kernels, openKernels, SLACK_BYTES } from './kernels.js';

/** Bytes of an image's lines copied to the kernels' memory at a time. */
const BAND_BYTES = 64 * 1024;
const FLOAT_BYTES = 4;

/**
 * Images as planes of floats from 0 to 255: blue, green and red, padded with black. The memory is reused: a new array per image costs three
 * times as much as writing it, mostly in pages that the system must clear.
 */
export class FloatPlanes {
  readonly #memory = newWasmMemory();
  readonly #kernels: Kernels = openKernels(this.#memory);

  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** Returns images x 3 x height x width numbers, valid until the next call. No image may be larger than the frame, whose width is a multiple of 4. */
  write(images: readonly Image[], frame: Size): Float32Array {
    const plane = frame.width * frame.height;
    const length = images.length * 3 * plane;
    const band = length * FLOAT_BYTES;
    const bandBytes = Math.max(BAND_BYTES, ...images.map(({ width }) => width * 3));
    growTo(this.#memory, band + bandBytes + SLACK_BYTES);
    const values = new Float32Array(this.#memory.buffer, 0, length);
    images.forEach((image, index) => {
      const first = index * 3 * plane;
      this.#writeImage(image, { frame, band, bandBytes, first });
      for (let channel = 0; channel < 3; channel += 1) {
        const start = first + channel * plane;
        values.fill(0, start + image.height * frame.width, start + plane);
      }
    });
    return values;
  }

  #writeImage(
    { width, height, data }: Image,
    to: { readonly frame: Size; readonly band: number; readonly bandBytes: number; readonly first: number },
  ): void {
    const bytes = new Uint8Array(this.#memory.buffer);
    const plane = to.frame.width * to.frame.height * FLOAT_BYTES;
    const line = width * 3;
    const rows = Math.floor(to.bandBytes / line);
    for (let from = 0; from < height; from += rows) {
      const end = Math.min(height, from + rows);
      bytes.set(data.subarray(from * line, end * line), to.band);
      for (let row = from; row < end; row += 1) {
        const blue = (to.first + row * to.frame.width) * FLOAT_BYTES;
        const source = to.band + (row - from) * line;
        this.#kernels.planes(source, width, to.frame.width, blue + 2 * plane, blue + plane, blue);
      }
    }
  }
}
