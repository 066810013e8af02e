import type { SpeechSegment } from '../speech.js';
import type { HypothesisWord } from './agreement.js';

/** Characters of final text that are kept as the prompt of the next windows. */
const TEXT_BEFORE_CHARACTERS = 200;

/** Makes segments of final words, with ids and times that only rise. */
export class Finals {
  #id = 0;
  #endSeconds = 0;
  #textBefore = '';

  /** End of the last final word. */
  get endSeconds(): number {
    return this.#endSeconds;
  }

  /** The end of the final text whose audio is dropped. */
  get textBefore(): string {
    return this.#textBefore;
  }

  /** The words' audio is dropped: from now on they are text before the window. */
  leave(words: readonly HypothesisWord[]): void {
    this.#textBefore = (this.#textBefore + words.map(({ text }) => text).join('')).slice(-TEXT_BEFORE_CHARACTERS);
  }

  /** Returns one segment for the words of each decoded segment. */
  segments(words: readonly HypothesisWord[]): readonly SpeechSegment[] {
    const groups: HypothesisWord[][] = [];
    for (const word of words) {
      const group = groups.at(-1);
      if (group?.[0]?.segment === word.segment) group.push(word);
      else groups.push([word]);
    }
    return groups.flatMap((group) => {
      const [first] = group;
      return first === undefined ? [] : [this.#segment(first.segment, group)];
    });
  }

  #segment(from: SpeechSegment, group: readonly HypothesisWord[]): SpeechSegment {
    const words = group.map(({ segment: _, ...word }) => {
      const startSeconds = Math.max(this.#endSeconds, word.startSeconds);
      this.#endSeconds = Math.max(startSeconds, word.endSeconds);
      return { ...word, startSeconds, endSeconds: this.#endSeconds };
    });
    const id = this.#id;
    this.#id += 1;
    return {
      ...from,
      id,
      text: words.map(({ text }) => text).join(''),
      tokens: [],
      words,
      startSeconds: words[0]?.startSeconds ?? this.#endSeconds,
      endSeconds: this.#endSeconds,
    };
  }
}
