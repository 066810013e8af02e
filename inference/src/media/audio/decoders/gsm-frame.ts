import { add, roundedProduct as product, subtract } from './gsm-arithmetic.js';
import type { GsmFrame, GsmPart } from './gsm-bits.js';

/** What a frame leaves to the next. */
export interface GsmState {
  /** The last 120 samples of the excitation, and room for 40 more. */
  readonly excitation: Int16Array;
  lag: number;
  ratios: readonly number[];
  /** Of the short term filter. */
  readonly filter: Int16Array;
  /** Of the de-emphasis. */
  last: number;
}

const PART = 40;
const HISTORY = 120;
const LAG_MIN = 40;
/** Table 4.3b: gains of the long term prediction. */
const GAINS = [3_277, 11_469, 21_299, 32_767];
/** Table 4.6: mantissas of the largest pulse. */
const MANTISSAS = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];
/** Table 4.1: offset, least code and inverse of the factor of each log area ratio. */
const RATIOS = [
  [0, -32, 13_107],
  [0, -32, 13_107],
  [2_048, -16, 13_107],
  [-2_560, -16, 13_107],
  [94, -8, 19_223],
  [-1_792, -8, 17_476],
  [-341, -4, 31_454],
  [-1_144, -4, 29_708],
] as const;
const DEEMPHASIS = 28_180;
const FRAME = 160;

/** As it is before the first frame. */
export function createGsmState(): GsmState {
  return {
    excitation: new Int16Array(HISTORY + PART),
    lag: LAG_MIN,
    ratios: RATIOS.map(() => 0),
    filter: new Int16Array(9),
    last: 0,
  };
}

/** 160 samples of one frame, to the bit as ETSI EN 300 961 (GSM 06.10), 5.3 has them. */
export function decodeGsmFrame(state: GsmState, { ratios, parts }: GsmFrame): Int16Array {
  const samples = new Int16Array(FRAME);
  parts.forEach((part, index) => {
    predictLong(state, part);
    samples.set(state.excitation.subarray(HISTORY), index * PART);
    state.excitation.copyWithin(0, PART);
  });
  const decoded = ratios.map((code, index) => decodeRatio(code, index));
  filterShort(state, decoded, samples);
  state.ratios = decoded;
  for (const [index, sample] of samples.entries()) {
    state.last = add(sample, product(state.last, DEEMPHASIS));
    samples[index] = add(state.last, state.last) & 0xfff8;
  }
  return samples;
}

/** 5.3.1 and 5.3.2: the pulses, and what is like them one lag ago. */
function predictLong(state: GsmState, part: GsmPart): void {
  const pulses = decodePulses(part);
  if (part.lag >= LAG_MIN && part.lag <= HISTORY) state.lag = part.lag;
  const gain = GAINS[part.gain] ?? 0;
  const { excitation, lag } = state;
  for (let index = 0; index < PART; index++) {
    const predicted = product(gain, excitation[HISTORY + index - lag] ?? 0);
    excitation[HISTORY + index] = add(pulses[index] ?? 0, predicted);
  }
}

/** 4.2.15 to 4.2.17 backwards: pulses of three bits, as parts of the largest. */
function decodePulses({ maximum, grid, pulses }: GsmPart): Int16Array {
  let exponent = maximum > 15 ? (maximum >> 3) - 1 : 0;
  let mantissa = maximum - (exponent << 3);
  if (mantissa === 0) {
    exponent = -4;
    mantissa = 7;
  } else {
    for (; mantissa <= 7; exponent--) mantissa = (mantissa << 1) | 1;
    mantissa -= 8;
  }
  const factor = MANTISSAS[mantissa] ?? 0;
  const shift = 6 - exponent;
  const half = shift === 0 ? 0 : 1 << (shift - 1);
  const samples = new Int16Array(PART);
  for (const [index, pulse] of pulses.entries()) {
    samples[grid + 3 * index] = add(product(factor, (2 * pulse - 7) << 12), half) >> shift;
  }
  return samples;
}

/** 5.2.8 */
function decodeRatio(code: number, index: number): number {
  const [offset, least, inverse] = RATIOS[index] ?? RATIOS[0];
  const level = subtract((code + least) << 10, offset << 1);
  const ratio = product(inverse, level);
  return add(ratio, ratio);
}

/** How the ratios of this frame and of the one before it are mixed (5.2.9.1), and up to which sample. */
const MIXES: readonly { readonly end: number; readonly mix: (before: number, now: number) => number }[] = [
  { end: 13, mix: (before, now) => add(add(before >> 2, now >> 2), before >> 1) },
  { end: 27, mix: (before, now) => add(before >> 1, now >> 1) },
  { end: 40, mix: (before, now) => add(add(before >> 2, now >> 2), now >> 1) },
  { end: FRAME, mix: (_before, now) => now },
];

/** 5.3.3: the excitation as the vocal tract lets it through. In place. */
function filterShort(state: GsmState, ratios: readonly number[], samples: Int16Array): void {
  const { filter } = state;
  let at = 0;
  for (const { end, mix } of MIXES) {
    const reflections = ratios.map((ratio, index) => reflectionOf(mix(state.ratios[index] ?? 0, ratio)));
    for (; at < end; at++) {
      let sample = samples[at] ?? 0;
      for (let stage = 7; stage >= 0; stage--) {
        const reflection = reflections[stage] ?? 0;
        const held = filter[stage] ?? 0;
        sample = subtract(sample, product(reflection, held));
        filter[stage + 1] = add(held, product(reflection, sample));
      }
      filter[0] = sample;
      samples[at] = sample;
    }
  }
}

/** 5.2.9.2 */
function reflectionOf(ratio: number): number {
  const size = Math.min(32_767, Math.abs(ratio));
  const reflection = size < 11_059 ? size << 1 : size < 20_070 ? size + 11_059 : add(size >> 2, 26_112);
  return ratio < 0 ? -reflection : reflection;
}
