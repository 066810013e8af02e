import { lowBitsOf } from '../../bytes.js';

/** The parameters of a 20 ms frame (ETSI EN 300 961, table 1.1). */
export interface GsmFrame {
  /** Eight coded log area ratios. */
  readonly ratios: readonly number[];
  /** Four subframes of 5 ms. */
  readonly subframes: readonly GsmSubframe[];
}

/** The excitation parameters of 40 samples. */
export interface GsmSubframe {
  /** Lag of the long-term predictor, in samples. */
  readonly lag: number;
  readonly gain: number;
  /** Position of the first pulse. */
  readonly grid: number;
  readonly maximum: number;
  /** Thirteen coded pulses, three samples apart. */
  readonly pulses: readonly number[];
}

const RATIO_BITS = [6, 6, 5, 5, 4, 4, 3, 3];
const FRAME_BITS = 260;
const SUBFRAMES = 4;
const PULSES = 13;

/** Reads a frame of a WAV block: frames are packed without gaps, the least significant bit of each value first. */
export function readGsmFrame(block: Uint8Array, index: number): GsmFrame {
  const take = lowBitsOf(block, index * FRAME_BITS);
  const ratios = RATIO_BITS.map(take);
  const subframes = Array.from({ length: SUBFRAMES }, () => ({
    lag: take(7),
    gain: take(2),
    grid: take(2),
    maximum: take(6),
    pulses: Array.from({ length: PULSES }, () => take(3)),
  }));
  return { ratios, subframes };
}
