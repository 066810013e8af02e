import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';

/** Samples that one probability speaks of. */
export const STEP_SAMPLES = 512;

/** Names and defaults of faster-whisper 1.2.1; a stretch may be of any length, as by its default. */
export interface VoiceThresholds {
  /** From this probability on it is speech. */
  readonly threshold: number;
  /** Below this one speech ends. */
  readonly negThreshold: number;
  /** Speech that is not longer is left out. */
  readonly minSpeechDurationMs: number;
  /** Shorter silences belong to the speech around them. */
  readonly minSilenceDurationMs: number;
  /** Kept before and after speech. */
  readonly speechPadMs: number;
}

export const VOICE_THRESHOLDS: VoiceThresholds = {
  threshold: 0.5,
  negThreshold: 0.35,
  minSpeechDurationMs: 0,
  minSilenceDurationMs: 2000,
  speechPadMs: 400,
};

/** Samples from `start` to before `end`. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
}

/**
 * Speech in a row of probabilities that comes bit by bit. What is surely speech is given out at once, so that nothing is
 * kept longer than the shortest silence and the padding. Method: `get_speech_timestamps` of faster-whisper 1.2.1.
 */
export class SpeechStretches {
  readonly #thresholds: VoiceThresholds;
  readonly #padding: number;
  /** Samples whose probability is known. */
  #position = 0;
  /** Where the speech under way began, and where a silence in it began. */
  #start: number | undefined;
  #silence: number | undefined;
  /** Up to here everything is given out or left out for good. */
  #done = 0;
  #ready: Stretch[] = [];

  constructor(thresholds: VoiceThresholds = VOICE_THRESHOLDS) {
    this.#thresholds = thresholds;
    this.#padding = samplesOf(thresholds.speechPadMs);
  }

  /** The first sample that may yet be given out. */
  get neededFrom(): number {
    return Math.max(this.#done, (this.#start ?? this.#position) - this.#padding);
  }

  /** The probabilities that follow, one a step; gives what is new of the speech, in order. */
  push(probabilities: Float32Array): readonly Stretch[] {
    const { threshold, negThreshold, minSilenceDurationMs } = this.#thresholds;
    for (const probability of probabilities) {
      if (probability >= threshold) {
        this.#start ??= this.#position;
        this.#silence = undefined;
      } else if (probability < negThreshold && this.#start !== undefined) {
        this.#silence ??= this.#position;
        if (this.#position - this.#silence >= samplesOf(minSilenceDurationMs)) this.#end(this.#start, this.#silence);
      }
      this.#position += STEP_SAMPLES;
    }
    if (this.#start !== undefined) this.#give(this.#start, this.#silence ?? this.#position, 0);
    return this.#take(this.#position);
  }

  /** Call once, when the recording of `length` samples is over: what is left of the speech. */
  finish(length: number): readonly Stretch[] {
    // Speech that is under way lasts to the end of the recording, a short silence included.
    if (this.#start !== undefined) this.#end(this.#start, length);
    return this.#take(length);
  }

  #end(start: number, end: number): void {
    this.#give(start, end, this.#padding);
    this.#start = undefined;
    this.#silence = undefined;
  }

  #give(start: number, end: number, padding: number): void {
    if (end - start <= samplesOf(this.#thresholds.minSpeechDurationMs)) return;
    const from = Math.max(this.#done, start - this.#padding);
    const to = end + padding;
    if (to <= from) return;
    this.#ready.push({ start: from, end: to });
    this.#done = to;
  }

  /** What is ready as far as there are samples; padding may reach beyond. */
  #take(length: number): readonly Stretch[] {
    const ready = this.#ready;
    this.#ready = ready.flatMap((stretch) =>
      stretch.end > length ? [{ start: Math.max(length, stretch.start), end: stretch.end }] : [],
    );
    return ready.flatMap(({ start, end }) => (start < length ? [{ start, end: Math.min(end, length) }] : []));
  }
}

/** Speech of a whole recording, given the probability of each step. Stretches whose padding meets are one. */
export function speechStretches(
  probabilities: Float32Array,
  length: number,
  thresholds: VoiceThresholds = VOICE_THRESHOLDS,
): readonly Stretch[] {
  const finder = new SpeechStretches(thresholds);
  const whole: Stretch[] = [];
  for (const { start, end } of [...finder.push(probabilities), ...finder.finish(length)]) {
    const last = whole.at(-1);
    if (last !== undefined && last.end === start) whole[whole.length - 1] = { start: last.start, end };
    else whole.push({ start, end });
  }
  return whole.map(({ start, end }) => ({ start, end: Math.min(end, length) }));
}

function samplesOf(ms: number): number {
  return (ms * SPEECH_SAMPLE_RATE_HZ) / 1000;
}
