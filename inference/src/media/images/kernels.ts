import { instantiateWasm, type WasmMemory } from '../../wasm.js';
import { KERNELS_WASM } from './kernels-wasm.js';

/** Bytes that the loops may read or write past the end of their buffers. */
export const SLACK_BYTES = 16;

/** The loops of resizing, interpolation and conversion. All addresses are in the memory passed to openKernels. */
export interface Kernels {
  /**
   * Writes one line of `pixels` pixels, three bytes each. Per pixel, as 32-bit numbers: byte offsets from `source` at
   * `offsets`, byte counts of the weights at `counts`, weights at `weights`, `stride` bytes apart. The weights of two taps are four 16-bit
   * numbers: the lowest 11 bits of both, then the rest of both. The last pair may have a second tap of weight 0.
   */
  columns(
    source: number,
    target: number,
    pixels: number,
    offsets: number,
    counts: number,
    weights: number,
    stride: number,
  ): void;
  /** One line of `bytes` bytes from lines that begin at `source` and lie `bytes` apart, with one of `count` bytes of weights each. */
  rows(source: number, target: number, bytes: number, weights: number, count: number): void;
  /**
   * One line of `pixels` pixels as three 16-bit numbers each, a sixteenth of 2048 times a byte. Per pixel, as 32-bit numbers at `columns`:
   * byte offsets of two neighbours from `source`, and the weight of the second of 2048.
   */
  across(source: number, target: number, pixels: number, columns: number): void;
  /** One line of `bytes` bytes between two lines of `across`. `lower` is the weight of the line below, of 2048. */
  between(above: number, below: number, target: number, bytes: number, lower: number): void;
  /**
   * One line of `pixels` pixels as floats: red to `first`, green to `second`, blue to `third`, and zeros up to `width`, a multiple of four.
   */
  planes(source: number, pixels: number, width: number, first: number, second: number, third: number): void;
}

/** Compiles the loops of kernels.wat for a memory. */
export function openKernels(memory: WasmMemory): Kernels {
  return instantiateWasm(Uint8Array.from(Buffer.from(KERNELS_WASM, 'base64')), memory) as Kernels;
}
