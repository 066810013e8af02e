/**
 * Where an audio file is cut for a model that reads one utterance at a time: at pauses, found by their loudness. Pure: samples
 * in, positions out.
 */

import type { SpeechTimestamp } from '../silero/speech-timestamps.js';
import { frameEnergies } from '../speech/frame-energy.js';

/** One frame of loudness: 20 ms at 16 kHz. */
const FRAME = 320;
/** A frame quieter than this (root mean square, full scale 1) is silence: -50 dBFS. */
const SILENCE_RMS = 0.003;
/** A pause is looked for over this many frames: 200 ms. */
const PAUSE_FRAMES = 10;
/** This much silence ends an utterance: 500 ms. */
const UTTERANCE_END_FRAMES = 25;
/** With louder speech, silence is what is 34 dB quieter than the loudest frame: rooms hum. */
const SILENCE_BELOW_PEAK = 0.02;
/** Silence kept before and after speech: 200 ms. */
const MARGIN_FRAMES = 10;

/**
 * Where the first utterance ends: the middle of the first 500 ms of silence after speech; undefined where there is none. A
 * model of single utterances transcribes each best alone.
 */
export function firstPause(samples: Float32Array): number | undefined {
  const energies = frameEnergies(samples, FRAME);
  const limit = Math.max(SILENCE_RMS, SILENCE_BELOW_PEAK * Math.sqrt(Math.max(0, ...energies))) ** 2;
  const speech = energies.findIndex((energy) => energy > limit);
  if (speech < 0) return undefined;
  let quiet = 0;
  for (let at = speech; at < energies.length; at += 1) {
    quiet = (energies[at] as number) > limit ? 0 : quiet + 1;
    if (quiet === UTTERANCE_END_FRAMES) return (at + 1 - Math.ceil(UTTERANCE_END_FRAMES / 2)) * FRAME;
  }
  return undefined;
}

/**
 * Where to cut samples that are too many for one utterance: the middle of the quietest 200 ms of their second half, so that a
 * word is rarely split.
 */
export function quietestCut(samples: Float32Array): number {
  const energies = frameEnergies(samples, FRAME);
  let best = energies.length;
  let least = Number.POSITIVE_INFINITY;
  for (let first = Math.floor(energies.length / 2); first + PAUSE_FRAMES <= energies.length; first += 1) {
    let sum = 0;
    for (let at = first; at < first + PAUSE_FRAMES; at += 1) sum += energies[at] as number;
    // At equal loudness the later position: longer utterances have more to go by.
    if (sum <= least) {
      least = sum;
      best = first + PAUSE_FRAMES / 2;
    }
  }
  return Math.min(samples.length, best * FRAME);
}

/** The part that is not silence, with a margin; undefined when all of it is. */
export function audible(samples: Float32Array): SpeechTimestamp | undefined {
  const loud = Array.from(frameEnergies(samples, FRAME), (energy) => energy > SILENCE_RMS ** 2);
  const first = loud.indexOf(true);
  if (first < 0) return undefined;
  return {
    start: Math.max(0, first - MARGIN_FRAMES) * FRAME,
    end: Math.min(samples.length, (loud.lastIndexOf(true) + 1 + MARGIN_FRAMES) * FRAME),
  };
}
