import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { onSampleGrid } from './sample-grid.js';
import type { SpeechSegment } from './speech.js';

/** Converts times in the kept parts of an audio file to times in the audio. */
export interface TimeMap {
  /** Restores an end time, in seconds. */
  endOf(seconds: number): number;
  restore(segment: SpeechSegment): SpeechSegment;
}

/** The identity, for an audio file without skipped parts. */
export const SAME_TIMES: TimeMap = { endOf: (seconds) => seconds, restore: (segment) => segment };

interface Part {
  /** First sample of the part, counted in kept samples. */
  readonly from: number;
  /** Samples of the audio skipped before this part. */
  readonly leftOut: number;
}

/** Maps times in the kept parts to times in the audio. Method: `SpeechTimestampsMap` of faster-whisper 1.2.1. */
export class KeptParts implements TimeMap {
  readonly #parts: Part[] = [];
  /** Samples kept so far. */
  #kept = 0;

  /** Keeps the samples from `start` to before `end`. Call in order. */
  add(start: number, end: number): void {
    this.#parts.push({ from: this.#kept, leftOut: start - this.#kept });
    this.#kept += end - start;
  }

  endOf(seconds: number): number {
    return this.#shift(seconds, this.#partAt(seconds, true));
  }

  /** Restores times: a word by its middle; a segment by its words, if it has any. */
  restore(segment: SpeechSegment): SpeechSegment {
    const words = segment.words.map((word) => {
      const part = this.#partAt((word.startSeconds + word.endSeconds) / 2, false);
      return {
        ...word,
        startSeconds: this.#shift(word.startSeconds, part),
        endSeconds: this.#shift(word.endSeconds, part),
      };
    });
    const startSeconds =
      words[0]?.startSeconds ?? this.#shift(segment.startSeconds, this.#partAt(segment.startSeconds, false));
    return { ...segment, words, startSeconds, endSeconds: words.at(-1)?.endSeconds ?? this.endOf(segment.endSeconds) };
  }

  #shift(seconds: number, part: Part | undefined): number {
    return onSampleGrid(seconds + (part?.leftOut ?? 0) / SPEECH_SAMPLE_RATE_HZ);
  }

  /** An end on the border of two parts belongs to the first. */
  #partAt(seconds: number, isEnd: boolean): Part | undefined {
    const sample = Math.round(seconds * SPEECH_SAMPLE_RATE_HZ);
    const part = this.#parts.findLast(({ from }) => (isEnd ? from < sample : from <= sample));
    return part ?? this.#parts[0];
  }
}
