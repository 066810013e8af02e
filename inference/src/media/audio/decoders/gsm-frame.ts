import type { GsmFrame, GsmSubframe } from './gsm-bits.js';

/** Decoder state between frames. */
export interface GsmState {
  /** The last 120 samples of the excitation, with space for 40 more. */
  readonly excitation: Int16Array;
  lag: number;
  ratios: readonly number[];
  /** State of the short-term filter. */
  readonly filter: Int16Array;
  /** State of the de-emphasis. */
  last: number;
}

const SUBFRAME_SAMPLES = 40;
const HISTORY = 120;
const LAG_MIN = 40;
/** Table 4.3b: gains of the long-term predictor. */
const GAINS = [3_277, 11_469, 21_299, 32_767];
/** Table 4.6: mantissas of the largest pulse. */
const MANTISSAS = [18_431, 20_479, 22_527, 24_575, 26_623, 28_671, 30_719, 32_767];
/** Table 4.1: offset, minimum code and inverse of the factor of each log area ratio. */
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

/** Creates the state before the first frame. */
export function createGsmState(): GsmState {
  return {
    excitation: new Int16Array(HISTORY + SUBFRAME_SAMPLES),
    lag: LAG_MIN,
    ratios: RATIOS.map(() => 0),
    filter: new Int16Array(9),
    last: 0,
  };
}

/** Decodes the 160 samples of a frame, bit-exact to ETSI EN 300 961 (GSM 06.10), 5.3. */
export function decodeGsmFrame(state: GsmState, { ratios, subframes }: GsmFrame): Int16Array {
  const samples = new Int16Array(FRAME);
  subframes.forEach((subframe, index) => {
    predictLong(state, subframe);
    samples.set(state.excitation.subarray(HISTORY), index * SUBFRAME_SAMPLES);
    state.excitation.copyWithin(0, SUBFRAME_SAMPLES);
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

/** Long-term synthesis, 5.3.1 and 5.3.2: the pulses plus the excitation one lag ago. */
function predictLong(state: GsmState, subframe: GsmSubframe): void {
  const pulses = decodePulses(subframe);
  if (subframe.lag >= LAG_MIN && subframe.lag <= HISTORY) state.lag = subframe.lag;
  const gain = GAINS[subframe.gain] ?? 0;
  const { excitation, lag } = state;
  for (let index = 0; index < SUBFRAME_SAMPLES; index++) {
    const predicted = product(gain, excitation[HISTORY + index - lag] ?? 0);
    excitation[HISTORY + index] = add(pulses[index] ?? 0, predicted);
  }
}

/** Inverse of 4.2.15 to 4.2.17: 3-bit pulses relative to the largest. */
function decodePulses({ maximum, grid, pulses }: GsmSubframe): Int16Array {
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
  const samples = new Int16Array(SUBFRAME_SAMPLES);
  for (const [index, pulse] of pulses.entries()) {
    samples[grid + 3 * index] = add(product(factor, (2 * pulse - 7) << 12), half) >> shift;
  }
  return samples;
}

/** Decodes a log area ratio, 5.2.8. */
function decodeRatio(code: number, index: number): number {
  const [offset, min, inverse] = RATIOS[index] ?? RATIOS[0];
  const level = subtract((code + min) << 10, offset << 1);
  const ratio = product(inverse, level);
  return add(ratio, ratio);
}

/** Interpolation of this frame's ratios with the previous frame's (5.2.9.1), each up to a sample. */
const MIXES: readonly { readonly end: number; readonly mix: (before: number, now: number) => number }[] = [
  { end: 13, mix: (before, now) => add(add(before >> 2, now >> 2), before >> 1) },
  { end: 27, mix: (before, now) => add(before >> 1, now >> 1) },
  { end: 40, mix: (before, now) => add(add(before >> 2, now >> 2), now >> 1) },
  { end: FRAME, mix: (_before, now) => now },
];

/** Short-term synthesis filter, 5.3.3, in place. */
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

/** Converts a log area ratio to a reflection coefficient, 5.2.9.2. */
function reflectionOf(ratio: number): number {
  const size = Math.min(32_767, Math.abs(ratio));
  const reflection = size < 11_059 ? size << 1 : size < 20_070 ? size + 11_059 : add(size >> 2, 26_112);
  return ratio < 0 ? -reflection : reflection;
}

// Saturating 16-bit arithmetic, 5.1.

function add(left: number, right: number): number {
  return saturate(left + right);
}

function subtract(left: number, right: number): number {
  return saturate(left - right);
}

/** Returns the rounded product of two Q15 numbers. */
function product(left: number, right: number): number {
  return saturate((left * right + 16_384) >> 15);
}

function saturate(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}
