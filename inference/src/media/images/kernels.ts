import { assemble, type Code, get, I32, increase, int, loadInt, repeat, set, V128 } from './assemble.js';
import { HALF, PRECISION_BITS } from './taps.js';
import { instantiateWasm, type WasmMemory } from './wasm.js';

/** Bytes that the loops may read or write past the end of their buffers. */
export const SLACK_BYTES = 16;

/** The loops of resizing. All addresses are in the memory passed to openKernels. */
export interface Kernels {
  /**
   * Writes one line of `places` pixels, three bytes each. Per pixel, as 32-bit numbers: byte offsets from `source` at
   * `offsets`, byte counts of the weights at `counts`, weights at `weights`, `stride` bytes apart.
   */
  columns(
    source: number,
    target: number,
    places: number,
    offsets: number,
    counts: number,
    weights: number,
    stride: number,
  ): void;
  /** One line of `bytes` bytes from lines that begin at `source` and lie `bytes` apart, with one of `count` bytes of weights each. */
  rows(source: number, target: number, bytes: number, weights: number, count: number): void;
}

/** Initial value of the sums, so that truncation rounds them. */
const START: Code = [int(HALF), V128.splat];
const CUT: Code = [int(PRECISION_BITS), V128.shiftIntsRight];

/** Sixteen, twelve or so bytes of a line, four by four, as 32-bit numbers. */
const QUARTERS: readonly Code[] = [
  [V128.bytesToShortsLow, V128.shortsToIntsLow],
  [V128.bytesToShortsLow, V128.shortsToIntsHigh],
  [V128.bytesToShortsHigh, V128.shortsToIntsLow],
  [V128.bytesToShortsHigh, V128.shortsToIntsHigh],
];

function columns(): Code {
  const [source, target, places, offsets, counts, weights, stride] = [0, 1, 2, 3, 4, 5, 6];
  const [place, at, weight, end, sum] = [7, 8, 9, 10, 11];
  const addTap: Code = [
    get(sum),
    get(at),
    V128.loadFour,
    V128.bytesToShortsLow,
    V128.shortsToIntsLow,
    get(weight),
    V128.loadSplat,
    V128.multiplyInts,
    V128.addInts,
    set(sum),
    increase(at, int(3)),
    increase(weight, int(4)),
  ];
  const onePlace: Code = [
    [get(source), get(offsets), loadInt, I32.add, set(at)],
    [get(weights), set(weight)],
    [get(weights), get(counts), loadInt, I32.add, set(end)],
    [START, set(sum)],
    repeat(weight, get(end), addTap),
    // A fourth byte is stored too; the next pixel overwrites it.
    [get(target), get(sum), CUT, get(sum), V128.intsToShorts, get(sum), V128.shortsToBytes, V128.storeFour],
    increase(offsets, int(4)),
    increase(counts, int(4)),
    increase(weights, get(stride)),
    increase(target, int(3)),
    increase(place, int(1)),
  ];
  return repeat(place, get(places), onePlace);
}

function rows(): Code {
  const [source, target, bytes, weights, count] = [0, 1, 2, 3, 4];
  const [done, at, weight, end, line, factor] = [5, 6, 7, 8, 13, 14];
  const sums = [9, 10, 11, 12];
  const addTap: Code = [
    [get(at), V128.load, set(line)],
    [get(weight), V128.loadSplat, set(factor)],
    ...sums.map((sum, quarter): Code => {
      const values: Code = [get(line), QUARTERS[quarter] ?? []];
      return [get(sum), values, get(factor), V128.multiplyInts, V128.addInts, set(sum)];
    }),
    increase(at, get(bytes)),
    increase(weight, int(4)),
  ];
  const cut = (sum: number): Code => [get(sum), CUT];
  const [one = 0, two = 0, three = 0, four = 0] = sums;
  const sixteenBytes: Code = [
    [get(source), get(done), I32.add, set(at)],
    [get(weights), set(weight)],
    [get(weights), get(count), I32.add, set(end)],
    ...sums.map((sum): Code => [START, set(sum)]),
    repeat(weight, get(end), addTap),
    [get(target), get(done), I32.add],
    [cut(one), cut(two), V128.intsToShorts, cut(three), cut(four), V128.intsToShorts, V128.shortsToBytes],
    V128.store,
    increase(done, int(16)),
  ];
  return repeat(done, get(bytes), sixteenBytes);
}

/** Compiles the loops, a few kilobytes, for a memory. */
export function openKernels(memory: WasmMemory): Kernels {
  const code = assemble([
    { name: 'columns', parameters: 7, ints: 4, vectors: 1, body: columns() },
    { name: 'rows', parameters: 5, ints: 4, vectors: 6, body: rows() },
  ]);
  return instantiateWasm(code, memory) as Kernels;
}
