import type { Shapes } from './shapes.js';

/** A tensor in memory, in row-major order. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Float32, or the bits of half precision. */
  readonly values: Float32Array | Uint16Array;
  /** In elements, in torch files. Default: row-major. */
  readonly strides?: readonly number[];
}

/** Returns random weights with a realistic spread, deterministic per seed and different for each tensor. */
export function randomTensors(shapes: Shapes, seed = 1): readonly NamedTensor[] {
  return Object.entries(shapes).map(([name, shape], index) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = new Float32Array(count);
    const inputs = shape.slice(1).reduce((product, size) => product * size, 1);
    const scale = /embed/.test(name) ? 0.1 : shape.length === 1 ? 0.05 : 0.8 * inputs ** -0.5;
    fillRandom(values, scale, Math.imul(seed * 7919 + index + 1, 2_654_435_761));
    if (/norm\d?\.weight$/i.test(name)) values.set(values.map((value) => value + 1));
    return { name, shape, values };
  });
}

/** Fills with random numbers around 0: the sum of the two halves of a xorshift state. `scale`: their spread. */
export function fillRandom(values: Float32Array, scale: number, state: number): void {
  let x = state | 1;
  for (let i = 0; i < values.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    values[i] = ((x & 0xffff) + (x >>> 16) - 65535) * (scale / 26_755);
  }
}
