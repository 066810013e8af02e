import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { VAD_OPTIONS, type VadOptions } from '../speech/vad-options.js';

/** Samples that one probability speaks of. */
export const STEP_SAMPLES = 512;

/** Speech that is too long is cut in a silence longer than this. */
const CUT_SILENCE_MS = 98;

/** What is neither speech nor silence for so long, behind a silence that was too short, is the speech's. */
const UNDECIDED_MS = 30_000;

/** Samples from `start` to before `end`. */
export interface SpeechTimestamp {
  readonly start: number;
  readonly end: number;
}

/** Speech under way. */
interface Speech {
  readonly start: number;
  /** Where the silence began that it is in. */
  silence: number | undefined;
  /** Where it would be cut: its last silence that is long enough. */
  cut: number | undefined;
  /** Where it went on behind that silence. */
  resumed: number | undefined;
}

/**
 * Speech in a row of probabilities that comes bit by bit. What is surely speech is given out at once, so that nothing is
 * kept longer than the shortest silence and the padding; where speech may be cut, no longer than its greatest length.
 * Method: `get_speech_timestamps` of faster-whisper 1.2.1.
 */
export class SpeechTimestamps {
  readonly #thresholds: VadOptions;
  readonly #padding: number;
  /** Samples of speech after which it is cut. */
  readonly #longest: number;
  /** Samples whose probability is known. */
  #position = 0;
  #speech: Speech | undefined;
  /** Up to here everything is given out or left out for good. */
  #done = 0;
  #ready: SpeechTimestamp[] = [];

  constructor(thresholds: VadOptions = VAD_OPTIONS) {
    this.#thresholds = thresholds;
    this.#padding = samplesOf(thresholds.speechPadMs);
    this.#longest = samplesOf(thresholds.maxSpeechDurationSeconds * 1000) - STEP_SAMPLES - 2 * this.#padding;
  }

  /** The first sample that may yet be given out. */
  get neededFrom(): number {
    return Math.max(this.#done, (this.#speech?.start ?? this.#position) - this.#padding);
  }

  /** The probabilities that follow, one a step; gives what is new of the speech, in order. */
  push(probabilities: Float32Array): readonly SpeechTimestamp[] {
    for (const probability of probabilities) {
      this.#step(probability);
      this.#position += STEP_SAMPLES;
    }
    const speech = this.#speech;
    // With a silence it may be cut in, what is behind that is not sure yet.
    if (speech !== undefined) this.#giveWhenLong(speech.start, speech.cut ?? speech.silence ?? this.#position, 0);
    return this.#take(this.#position);
  }

  /** Call once, when the audio of `length` samples is over: what is left of the speech. */
  finish(length: number): readonly SpeechTimestamp[] {
    // Speech that is under way lasts to the end of the audio, a short silence included.
    if (this.#speech !== undefined) this.#giveWhenLong(this.#speech.start, length, this.#padding);
    this.#speech = undefined;
    return this.#take(length);
  }

  #step(probability: number): void {
    const { threshold, negThreshold } = this.#thresholds;
    if (probability >= threshold) {
      if (this.#speech === undefined) {
        this.#speech = speechFrom(this.#position);
        return;
      }
      if (this.#speech.silence !== undefined && this.#speech.cut !== undefined) this.#speech.resumed ??= this.#position;
      this.#speech.silence = undefined;
    }
    if (this.#speech !== undefined && this.#position - this.#speech.start > this.#longest) {
      const isWhole = this.#cut(this.#speech);
      if (!isWhole) return;
    }
    if (this.#speech === undefined) return;
    if (probability < negThreshold) this.#hush(this.#speech);
    else this.#decide(this.#speech);
  }

  /** Ends speech that is too long. False when the step itself belongs to no speech any more. */
  #cut({ start, cut, resumed }: Speech): boolean {
    // However short, for it is a part of something longer.
    this.#give(start, cut ?? this.#position, this.#padding);
    this.#speech = resumed === undefined ? undefined : speechFrom(resumed);
    return cut !== undefined;
  }

  /** A step of silence within speech. */
  #hush(speech: Speech): void {
    speech.silence ??= this.#position;
    const length = this.#position - speech.silence;
    const mayBeCut = Number.isFinite(this.#longest) && length > samplesOf(CUT_SILENCE_MS);
    if (mayBeCut && speech.cut !== speech.silence) {
      speech.cut = speech.silence;
      speech.resumed = undefined;
    }
    if (length < samplesOf(this.#thresholds.minSilenceDurationMs)) return;
    this.#giveWhenLong(speech.start, speech.silence, this.#padding);
    this.#speech = undefined;
  }

  /** The reference waits for ever; here what waits is held in memory. */
  #decide(speech: Speech): void {
    const longest = samplesOf(this.#thresholds.minSilenceDurationMs + UNDECIDED_MS);
    if (speech.silence !== undefined && this.#position - speech.silence > longest) speech.silence = undefined;
  }

  #giveWhenLong(start: number, end: number, padding: number): void {
    if (end - start > samplesOf(this.#thresholds.minSpeechDurationMs)) this.#give(start, end, padding);
  }

  #give(start: number, end: number, padding: number): void {
    const from = Math.max(this.#done, start - this.#padding);
    const to = end + padding;
    if (to <= from) return;
    this.#ready.push({ start: from, end: to });
    this.#done = to;
  }

  /** What is ready as far as there are samples; padding may reach beyond. */
  #take(length: number): readonly SpeechTimestamp[] {
    const ready = this.#ready;
    this.#ready = ready.flatMap((speechTimestamp) =>
      speechTimestamp.end > length
        ? [{ start: Math.max(length, speechTimestamp.start), end: speechTimestamp.end }]
        : [],
    );
    return ready.flatMap(({ start, end }) => (start < length ? [{ start, end: Math.min(end, length) }] : []));
  }
}

/** Speech of a whole audio file, given the probability of each step. Stretches whose padding meets are one. */
export function getSpeechTimestamps(
  probabilities: Float32Array,
  length: number,
  thresholds: VadOptions = VAD_OPTIONS,
): readonly SpeechTimestamp[] {
  const finder = new SpeechTimestamps(thresholds);
  const whole: SpeechTimestamp[] = [];
  for (const { start, end } of [...finder.push(probabilities), ...finder.finish(length)]) {
    const last = whole.at(-1);
    if (last !== undefined && last.end === start) whole[whole.length - 1] = { start: last.start, end };
    else whole.push({ start, end });
  }
  return whole.map(({ start, end }) => ({ start, end: Math.min(end, length) }));
}

function speechFrom(start: number): Speech {
  return { start, silence: undefined, cut: undefined, resumed: undefined };
}

function samplesOf(ms: number): number {
  return (ms * SPEECH_SAMPLE_RATE_HZ) / 1000;
}
