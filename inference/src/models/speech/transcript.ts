import type { SpeechEvent, SpeechSegment } from './speech.js';
import type { OpenedSpeech } from './speech-source.js';

/** A given or detected language; undefined until something is detected. */
export interface DetectedLanguage {
  readonly language: string | undefined;
  /** 1 when the language was given. */
  readonly languageProbability: number;
}

export function givenLanguage(language: string | undefined): DetectedLanguage {
  return { language, languageProbability: language === undefined ? 0 : 1 };
}

/** The language in a summary. Without speech it is English, the models' default, with probability 0. */
export function languageOrDefault({ language, languageProbability }: DetectedLanguage) {
  return { language: language ?? 'en', languageProbability };
}

/** Makes the events of one audio file: numbers its segments and restores their times in the audio. */
export class Transcript {
  #id = 0;

  constructor(private readonly speech: OpenedSpeech) {}

  /** The segments of the next part, in order, and how far the audio is done. Times are those of the samples that were read. */
  *part(segments: readonly SpeechSegment[], doneSeconds: number): Generator<SpeechEvent, void, void> {
    const { times } = this.speech;
    for (const segment of segments) {
      yield { type: 'segment', segment: times.restore({ ...segment, id: this.#id }) };
      this.#id += 1;
    }
    yield { type: 'progress', processedSeconds: times.endOf(doneSeconds) };
  }

  /** Progress after a silence of which nothing was read. */
  silence(): SpeechEvent {
    return { type: 'progress', processedSeconds: this.speech.listenedSeconds() };
  }

  /** The last event. `speechSeconds`: by default all that was read. */
  summary(detected: DetectedLanguage, speechSeconds?: number): SpeechEvent {
    const { durationSeconds, keptSeconds } = this.speech.lengths();
    return {
      type: 'summary',
      summary: {
        ...languageOrDefault(detected),
        durationSeconds,
        speechSeconds: speechSeconds ?? keptSeconds,
      },
    };
  }
}
