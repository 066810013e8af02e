import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { onSampleGrid } from './sample-grid.js';
import type { SpeechSegment } from './speech.js';

/** From times in what was kept of an audio file to times in the audio. */
export interface TimeMap {
  /** Where what ends here ends in the audio, in seconds. */
  endOf(seconds: number): number;
  restore(segment: SpeechSegment): SpeechSegment;
}

/** For an audio file that nothing was left out of. */
export const SAME_TIMES: TimeMap = { endOf: (seconds) => seconds, restore: (segment) => segment };

interface Part {
  /** Sample of the kept ones that the part begins with. */
  readonly from: number;
  /** How many samples of the audio were left out before. */
  readonly leftOut: number;
}

/** The parts of an audio file that were kept. Method: `SpeechTimestampsMap` of faster-whisper 1.2.1. */
export class KeptParts implements TimeMap {
  readonly #parts: Part[] = [];
  #kept = 0;
  #end: number | undefined;

  /** Samples that were kept so far. */
  get kept(): number {
    return this.#kept;
  }

  /** The samples from `start` to before `end` are kept too; they come after those before. */
  add(start: number, end: number): void {
    if (start !== this.#end) this.#parts.push({ from: this.#kept, leftOut: start - this.#kept });
    this.#end = end;
    this.#kept += end - start;
  }

  endOf(seconds: number): number {
    return this.#shift(seconds, this.#partAt(seconds, true));
  }

  /** A word lies where its middle does; a segment begins and ends with its words, where it has any. */
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

  /** An end that falls on the border of two parts is the first one's. */
  #partAt(seconds: number, isEnd: boolean): Part | undefined {
    const sample = Math.round(seconds * SPEECH_SAMPLE_RATE_HZ);
    const part = this.#parts.findLast(({ from }) => (isEnd ? from < sample : from <= sample));
    return part ?? this.#parts[0];
  }
}
