import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { frameLevelsDb } from '../speech/frame-energy.js';
import { isSteady } from './loudness.js';

/** One loudness frame: 20 ms. */
const FRAME_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 50;
/** Minimum pause at which audio is cut, 300 ms: longer than the closure of any consonant. */
const PAUSE_FRAMES = 15;
/** A pause is this much quieter than the loud parts... */
const BELOW_LOUD_DB = 30;
/** ...or, in noise, hardly louder than the quiet parts and still clearly below speech. */
const ABOVE_QUIET_DB = 6;
const MIN_BELOW_LOUD_DB = 10;
/** Silence in any context: below the noise of 16-bit audio files. */
const SILENCE_DB = -80;

/**
 * The longest pause in this last part of a window is chosen, otherwise the last pause: longer chunks are fewer chunks.
 */
const LAST_PART = 0.2;
/** Minimum length of a chunk, as a fraction of a window. */
const MIN_PART = 1 / 3;

/**
 * Returns where to cut samples without splitting a word: the middle of a pause, as late as possible. Undefined if there
 * is no pause of 300 ms after the first third.
 */
export function cutInPause(samples: Float32Array): number | undefined {
  const levels = frameLevelsDb(samples, FRAME_SAMPLES);
  const pauses = findPauses(levels).filter(({ middle }) => middle >= MIN_PART * levels.length);
  const late = pauses.filter(({ middle }) => middle >= (1 - LAST_PART) * levels.length);
  const cut = late.sort((a, b) => b.frames - a.frames)[0] ?? pauses.at(-1);
  return cut === undefined ? undefined : Math.round(cut.middle * FRAME_SAMPLES);
}

/** End of the last sound as loud as speech, in samples. */
export function endOfSpeech(samples: Float32Array): number {
  const levels = frameLevelsDb(samples, FRAME_SAMPLES);
  const limit = quietLimitDb(levels);
  return (levels.findLastIndex((level) => level > limit) + 1) * FRAME_SAMPLES;
}

/** Silence that stays before the first sound of a window, 0.5 s, and the least that is worth skipping, 1 s. */
const KEPT_LEAD_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 2;
const MIN_SKIPPED_SAMPLES = SPEECH_SAMPLE_RATE_HZ;
/** Frames of 100 ms: in shorter ones the level of noise varies more. */
const LEAD_FRAME_SAMPLES = SPEECH_SAMPLE_RATE_HZ / 10;

/**
 * Samples of silence to skip before the first sound as loud as speech, of which `keptSamples` stay. Only digital silence and noise too
 * steady for a voice are skipped, so that no quiet speaker is lost. 0 if there is no sound at all.
 */
export function leadingSilence(samples: Float32Array, keptSamples = KEPT_LEAD_SAMPLES): number {
  const levels = frameLevelsDb(samples, LEAD_FRAME_SAMPLES);
  const firstAbove = (db: number) => levels.findIndex((level) => level > db) * LEAD_FRAME_SAMPLES;
  const audible = firstAbove(SILENCE_DB);
  const loud = firstAbove(quietLimitDb(levels));
  const isSilent = audible >= loud - KEPT_LEAD_SAMPLES || isSteady(samples.subarray(audible, loud - KEPT_LEAD_SAMPLES));
  const skipped = (isSilent ? loud : audible) - keptSamples;
  return skipped < MIN_SKIPPED_SAMPLES ? 0 : skipped;
}

interface Pause {
  readonly middle: number;
  readonly frames: number;
}

/** Runs of quiet frames that are long enough, in order. */
function findPauses(levels: Float64Array): readonly Pause[] {
  const limit = quietLimitDb(levels);
  const pauses: Pause[] = [];
  let start = 0;
  for (let frame = 0; frame <= levels.length; frame++) {
    if ((levels[frame] ?? Number.POSITIVE_INFINITY) <= limit) continue;
    if (frame - start >= PAUSE_FRAMES) pauses.push({ middle: (start + frame) / 2, frames: frame - start });
    start = frame + 1;
  }
  return pauses;
}

/** Frames up to this level count as a pause. */
function quietLimitDb(levels: Float64Array): number {
  const sorted = Float64Array.from(levels).sort();
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? 0;
  const loud = at(0.95);
  const limit = Math.min(loud - MIN_BELOW_LOUD_DB, Math.max(loud - BELOW_LOUD_DB, at(0.05) + ABOVE_QUIET_DB));
  return Math.max(SILENCE_DB, limit);
}
