import type { AlacConfig } from './alac-config.js';
import type { BitReader } from './bit-reader.js';

const ONE = 512;
const ONE_BITS = 9;
const PREFIX_MAX = 9;
const RUN_BITS = 16;
const HISTORY_MAX = 0xffff;

/**
 * Decodes the residuals of a channel: adaptive Golomb-Rice codes, with runs of zeros after small values (Apple's ag_dec.c).
 * Undefined if they exceed the packet or `count`.
 */
export function readResiduals(
  bits: BitReader,
  count: number,
  sampleBits: number,
  multiplier: number,
  { initialHistory, limit }: AlacConfig,
): Int32Array | undefined {
  const residuals = new Int32Array(count);
  let history = initialHistory;
  let afterRun = 0;
  for (let at = 0; at < count; ) {
    if (bits.exhausted) return undefined;
    const parameter = Math.min(limit, 31 - Math.clz32((history >> ONE_BITS) + 3));
    const code = readCode(bits, parameter, 2 ** parameter - 1, sampleBits);
    const value = code + afterRun;
    // The lowest bit is the sign.
    residuals[at++] = value % 2 === 1 ? -((value + 1) / 2) : value / 2;
    history = code > HISTORY_MAX ? HISTORY_MAX : multiplier * value + history - ((multiplier * history) >>> ONE_BITS);
    afterRun = 0;
    if (history < ONE / 4 && at < count) {
      const runParameter = Math.clz32(history) - 24 + ((history + 16) >> 6);
      const factor = (2 ** runParameter - 1) & (2 ** limit - 1);
      const run = readCode(bits, runParameter, factor, RUN_BITS);
      if (at + run > count) return undefined;
      at += run;
      afterRun = run >= 65_535 ? 0 : 1;
      history = 0;
    }
  }
  return bits.exhausted ? undefined : residuals;
}

/** Reads a code: a unary quotient by `factor` and the remainder; after more than eight ones, the number in `wideBits`. */
function readCode(bits: BitReader, parameter: number, factor: number, wideBits: number): number {
  const prefix = Math.clz32(~bits.peek());
  if (prefix >= PREFIX_MAX) {
    bits.position += PREFIX_MAX;
    return bits.read(wideBits);
  }
  bits.position += prefix + 1;
  return prefix * factor + readRest(bits, parameter);
}

/** Reads a remainder: 0 is one bit shorter, all others are stored plus one. */
function readRest(bits: BitReader, parameter: number): number {
  const rest = bits.read(parameter);
  if (rest >= 2) return rest - 1;
  bits.position--;
  return 0;
}
