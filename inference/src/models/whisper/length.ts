import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { DecodeWindow } from './window.js';

/** The longest window, 30 s. */
export const WINDOW_SAMPLES = 30 * SPEECH_SAMPLE_RATE_HZ;
/** Samples per encoder position, 20 ms. */
export const POSITION_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 50;
/** Spectrogram frames per encoder position. */
const FRAMES_A_POSITION = 2;
/** Encoder positions of a full window, 30 s. */
export const WINDOW_POSITIONS = 1500;
/** The first 1.28 s of silence after the speech are not merged. */
const PLAIN_POSITIONS = 64;
/** Positions of trailing silence merged into one. */
const MERGED_POSITIONS = 4;
/** Unmerged positions after the sound: the convolutions at its end see beyond it. */
const MARGIN_POSITIONS = 2;
/**
 * Above 16.7 s of sound all positions are computed at once: a quarter of such windows has a doubtful word, and decoding
 * those twice costs more than merging saves.
 */
const MAX_POSITIONS = 1050;

/** The row count for the decoder is a multiple of this. */
const ATTENDED_ROWS = 128;

/** The positions of a window that the encoder computes. */
export interface Layout {
  /** Spectrogram frames needed. */
  readonly frames: number;
  /** Rows of the sound and their positions. */
  readonly rows: readonly number[];
  readonly positions: readonly number[];
  /** Number of positions each row represents, in order. */
  readonly counts: readonly number[];
  /** Rows passed to the decoder, padded so that it can batch utterances of similar length. */
  readonly attendedRows: number;
}

/**
 * Returns the positions a window is first decoded from: one in four of the silence after the speech, which represents
 * all four. Undefined: all positions, unmerged.
 */
export function mergedSilence({ samples, options }: Pick<DecodeWindow, 'samples' | 'options'>): Layout | undefined {
  // Doubtful words are only detected in greedy decoding.
  if (options.temperatures[0] !== 0 || options.beamSize > 1) return undefined;
  const layout = layoutOf(samples.length);
  return layout.rows.length > MAX_POSITIONS ? undefined : layout;
}

/** The positions of a window: those of the sound and some after it singly, then in merged groups. Other numbers are for the benchmark of them. */
export function layoutOf(sampleCount: number, plainAfter = PLAIN_POSITIONS, merged = MERGED_POSITIONS): Layout {
  const plain = Math.min(WINDOW_POSITIONS, Math.ceil(sampleCount / POSITION_SAMPLES) + plainAfter);
  const rest = WINDOW_POSITIONS - plain;
  const groups = Array.from({ length: Math.ceil(rest / merged) }, (_, index) =>
    Math.min(merged, rest - index * merged),
  );
  const counts = [...new Array<number>(plain).fill(1), ...groups];
  let next = 0;
  const positions = counts.map((count) => {
    const middle = next + Math.floor((count - 1) / 2);
    next += count;
    return middle;
  });
  // All of the silence sounds the same.
  const rows = positions.map((position) => Math.min(position, plain));
  const frames = Math.min(WINDOW_POSITIONS, plain + MARGIN_POSITIONS) * FRAMES_A_POSITION;
  return { frames, rows, positions, counts, attendedRows: Math.ceil(rows.length / ATTENDED_ROWS) * ATTENDED_ROWS };
}
