import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import type { VadOptions } from '../speech/vad-options.js';

/** Samples per probability. */
export const STEP_SAMPLES = 512;

/** Speech that is too long is split at a silence longer than this. */
const CUT_SILENCE_MS = 98;

/** Undecided audio of this length after a short silence counts as speech. */
const UNDECIDED_MS = 30_000;

/** Samples from `start` to before `end`. */
export interface SpeechTimestamp {
  readonly start: number;
  readonly end: number;
}

/** Speech in progress. */
interface Speech {
  readonly start: number;
  /** Start of the current silence. */
  silence: number | undefined;
  /** Split position: the last silence that is long enough. */
  cut: number | undefined;
  /** Where speech resumed after that silence. */
  resumed: number | undefined;
}

/**
 * Finds speech in a stream of probabilities. Speech is emitted as soon as it is certain: nothing is held longer than
 * the shortest silence plus padding or, where speech may be split, than its maximum length. Method:
 * `get_speech_timestamps` of faster-whisper 1.2.1.
 */
export class SpeechTimestamps {
  readonly #padding: number;
  /** Samples of speech after which it is split. */
  readonly #longest: number;
  /** Samples with a known probability. */
  #position = 0;
  #speech: Speech | undefined;
  /** Everything before this is either emitted or dropped. */
  #done = 0;
  #ready: SpeechTimestamp[] = [];

  constructor(private readonly thresholds: VadOptions) {
    this.#padding = samplesOf(thresholds.speechPadMs);
    this.#longest = samplesOf(thresholds.maxSpeechDurationSeconds * 1000) - STEP_SAMPLES - 2 * this.#padding;
  }

  /** The first sample that may still be emitted. */
  get neededFrom(): number {
    return Math.max(this.#done, (this.#speech?.start ?? this.#position) - this.#padding);
  }

  /** Adds probabilities, one per step; returns the newly found speech, in order. */
  push(probabilities: Float32Array): readonly SpeechTimestamp[] {
    for (const probability of probabilities) {
      this.#step(probability);
      this.#position += STEP_SAMPLES;
    }
    const speech = this.#speech;
    // With a possible split at a silence, what follows it is not certain yet.
    if (speech !== undefined) this.#giveWhenLong(speech.start, speech.cut ?? speech.silence ?? this.#position, 0);
    return this.#take(this.#position);
  }

  /** Ends the audio at `length` samples; returns the remaining speech. Call once. */
  finish(length: number): readonly SpeechTimestamp[] {
    // Speech in progress lasts to the end of the audio, including a short silence.
    if (this.#speech !== undefined) this.#giveWhenLong(this.#speech.start, length, this.#padding);
    this.#speech = undefined;
    return this.#take(length);
  }

  #step(probability: number): void {
    const { threshold, negThreshold } = this.thresholds;
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

  /** Splits speech that is too long. Returns false when the step itself is no longer in speech. */
  #cut({ start, cut, resumed }: Speech): boolean {
    // Even if short, because it is part of longer speech.
    this.#give(start, cut ?? this.#position, this.#padding);
    this.#speech = resumed === undefined ? undefined : speechFrom(resumed);
    return cut !== undefined;
  }

  /** Handles a step of silence within speech. */
  #hush(speech: Speech): void {
    speech.silence ??= this.#position;
    const length = this.#position - speech.silence;
    const mayBeCut = Number.isFinite(this.#longest) && length > samplesOf(CUT_SILENCE_MS);
    if (mayBeCut && speech.cut !== speech.silence) {
      speech.cut = speech.silence;
      speech.resumed = undefined;
    }
    if (length < samplesOf(this.thresholds.minSilenceDurationMs)) return;
    this.#giveWhenLong(speech.start, speech.silence, this.#padding);
    this.#speech = undefined;
  }

  /** The reference waits without limit; here pending speech is held in memory. */
  #decide(speech: Speech): void {
    const longest = samplesOf(this.thresholds.minSilenceDurationMs + UNDECIDED_MS);
    if (speech.silence !== undefined && this.#position - speech.silence > longest) speech.silence = undefined;
  }

  #giveWhenLong(start: number, end: number, padding: number): void {
    if (end - start > samplesOf(this.thresholds.minSpeechDurationMs)) this.#give(start, end, padding);
  }

  #give(start: number, end: number, padding: number): void {
    const from = Math.max(this.#done, start - this.#padding);
    const to = end + padding;
    if (to <= from) return;
    this.#ready.push({ start: from, end: to });
    this.#done = to;
  }

  /** Returns what is ready and available; padding may extend beyond the samples. */
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

function speechFrom(start: number): Speech {
  return { start, silence: undefined, cut: undefined, resumed: undefined };
}

function samplesOf(ms: number): number {
  return (ms * SPEECH_SAMPLE_RATE_HZ) / 1000;
}
