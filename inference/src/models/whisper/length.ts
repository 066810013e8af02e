import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { DecodeWindow } from './window.js';

/** The longest window, 30 s. */
export const WINDOW_SAMPLES = 30 * SPEECH_SAMPLE_RATE_HZ;
/** Samples that one of the encoder's positions stands for: 20 ms. */
const POSITION_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 50;
/** Spectrogram frames that one of the encoder's positions stands for. */
export const FRAMES_A_POSITION = 2;
/** The encoder's positions of a whole window, 30 s. */
export const WINDOW_POSITIONS = 1500;
/**
 * Silence behind the speech that the encoder is given at first, in its positions, instead of all that is missing to 30 s.
 * Where every word is clear with these 10.24 s, the words are those of the whole (the README has the measurement).
 */
const TAIL_POSITIONS = 512;
/** What is hardly shorter is not worth a second look, nor decoding without company. */
const MOST_POSITIONS = 1350;

/** The encoder's positions that a window is first decoded from, where the encoder takes any length. */
export function firstPositions({ samples, options }: Pick<DecodeWindow, 'samples' | 'options'>): number {
  // Doubt is only looked for in greedy decoding.
  if (options.temperatures[0] !== 0 || options.beamSize > 1) return WINDOW_POSITIONS;
  const positions = Math.ceil(samples.length / POSITION_SAMPLES) + TAIL_POSITIONS;
  return positions > MOST_POSITIONS ? WINDOW_POSITIONS : positions;
}
