import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { DecodeWindow } from './window.js';

/** The longest window, 30 s. */
export const WINDOW_SAMPLES = 30 * SPEECH_SAMPLE_RATE_HZ;
/** Samples that one of the encoder's positions stands for: 20 ms. */
const POSITION_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 50;
/** Spectrogram frames that one of the encoder's positions stands for. */
const FRAMES_A_POSITION = 2;
/** The encoder's positions of a whole window, 30 s. */
export const WINDOW_POSITIONS = 1500;
/** Silence right behind the speech is not merged, 1.28 s of it. */
const PLAIN_POSITIONS = 64;
/** So many positions of the silence behind that are one. */
const MERGED_POSITIONS = 4;
/** Behind the plain positions: the convolutions at the end of the sound see what is not there. */
const MARGIN_POSITIONS = 2;
/**
 * Beyond 16.7 s of sound all positions are worked out at once: a quarter of the windows has a doubtful word, and what their
 * second look costs is more than the first saves.
 */
const MAX_POSITIONS = 1050;

/** The decoder is given so many rows at a time. */
const ATTENDED_ROWS = 128;

/** Which positions of a window the encoder works out. */
export interface Layout {
  /** Frames of the spectrogram that it needs. */
  readonly frames: number;
  /** Rows of the sound, and the positions at which they stand. */
  readonly rows: readonly number[];
  readonly positions: readonly number[];
  /** So many positions of the window each row stands for, in their order. */
  readonly counts: readonly number[];
  /** Rows that the decoder is given: filled up, so that it can take utterances of about one length together. */
  readonly attendedRows: number;
}

/**
 * The positions that a window is first decoded from: of the silence behind the speech one of every four, which stands for
 * them all. Undefined: all of them, one by one.
 */
export function mergedSilence({ samples, options }: Pick<DecodeWindow, 'samples' | 'options'>): Layout | undefined {
  // Doubt is only looked for in greedy decoding.
  if (options.temperatures[0] !== 0 || options.beamSize > 1) return undefined;
  const layout = layoutOf(samples.length, PLAIN_POSITIONS, MERGED_POSITIONS);
  return layout.rows.length > MAX_POSITIONS ? undefined : layout;
}

/** A window's positions: those of the sound and so many behind it one by one, then so many at a time. */
export function layoutOf(sampleCount: number, plainBehind: number, merged: number): Layout {
  const plain = Math.min(WINDOW_POSITIONS, Math.ceil(sampleCount / POSITION_SAMPLES) + plainBehind);
  const rest = WINDOW_POSITIONS - plain;
  const counts = [
    ...new Array<number>(plain).fill(1),
    ...Array.from({ length: Math.ceil(rest / merged) }, (_, index) => Math.min(merged, rest - index * merged)),
  ];
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
