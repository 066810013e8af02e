/** What a frame of 20 ms says (ETSI EN 300 961, table 1.1). */
export interface GsmFrame {
  /** Coded log area ratios, eight. */
  readonly ratios: readonly number[];
  /** Of 5 ms each, four. */
  readonly parts: readonly GsmPart[];
}

/** The excitation of 40 samples. */
export interface GsmPart {
  /** How many samples back its long term prediction looks. */
  readonly lag: number;
  readonly gain: number;
  /** Where the first of its pulses stands. */
  readonly grid: number;
  readonly maximum: number;
  /** Thirteen, three samples apart. */
  readonly pulses: readonly number[];
}

const RATIO_BITS = [6, 6, 5, 5, 4, 4, 3, 3];
const FRAME_BITS = 260;
const PARTS = 4;
const PULSES = 13;

/** Reads a frame of a WAV block: frames follow each other without a gap, and each value's lowest bit comes first. */
export function readGsmFrame(block: Uint8Array, index: number): GsmFrame {
  let at = index * FRAME_BITS;
  const take = (bits: number): number => {
    let value = 0;
    for (let bit = 0; bit < bits; bit++, at++) value |= (((block[at >> 3] ?? 0) >> (at & 7)) & 1) << bit;
    return value;
  };
  const ratios = RATIO_BITS.map(take);
  const parts = Array.from({ length: PARTS }, () => ({
    lag: take(7),
    gain: take(2),
    grid: take(2),
    maximum: take(6),
    pulses: Array.from({ length: PULSES }, () => take(3)),
  }));
  return { ratios, parts };
}
