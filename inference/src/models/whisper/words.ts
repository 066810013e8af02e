/**
 * Groups tokens into words and corrects implausible word times. Source: whisper/timing.py and faster-whisper's
 * transcribe.py.
 */
import type { SpeechWord } from '../speech/speech.js';

/** A word of a window; times in seconds from the window's start. */
export interface TimedWord extends SpeechWord {
  readonly tokens: readonly number[];
}

/** Languages written without spaces: each character counts as a word. */
const WITHOUT_SPACES: ReadonlySet<string> = new Set(['zh', 'ja', 'th', 'lo', 'my', 'yue']);
const PART_OF_LETTER = '\uFFFD';
const MARK_FIRST = /^\p{M}/u;
const PUNCTUATION = /^[!-/:-@[-`{-~]+$/;

/** Punctuation that attaches to the following word, and to the previous word. */
const PREPENDED = '"\'“¿([{-';
const APPENDED = '"\'.。,，!！?？:：”)]}、';
/** All of it: none of these signs is a word. */
export const ATTACHED = PREPENDED + APPENDED;
const SENTENCE_ENDS = '.。!！?？';

/** A word lasts at most twice the median of its window, and at most this long. */
const MAX_MEDIAN_SECONDS = 0.7;

/** Groups tokens into words: at spaces and punctuation, or by character in languages without spaces. */
export function splitWords(
  tokens: readonly number[],
  decode: (tokens: readonly number[]) => string,
  language: string,
): readonly { readonly text: string; readonly tokens: readonly number[] }[] {
  const pieces = wholeLetters(tokens, decode);
  if (WITHOUT_SPACES.has(language)) return pieces;
  const words: { text: string; tokens: number[] }[] = [];
  for (const piece of pieces) {
    const last = words.at(-1);
    if (last === undefined || piece.text.startsWith(' ') || PUNCTUATION.test(piece.text.trim())) {
      words.push({ text: piece.text, tokens: [...piece.tokens] });
    } else {
      last.text += piece.text;
      last.tokens.push(...piece.tokens);
    }
  }
  return words;
}

/** Joins tokens until they form complete characters. */
function wholeLetters(
  tokens: readonly number[],
  decode: (tokens: readonly number[]) => string,
): { text: string; tokens: number[] }[] {
  const whole = decode(tokens);
  const pieces: { text: string; tokens: number[] }[] = [];
  let pending: number[] = [];
  let offset = 0;
  for (const [index, token] of tokens.entries()) {
    pending.push(token);
    const text = decode(pending);
    const broken = text.indexOf(PART_OF_LETTER);
    // The replacement character may occur in the text itself; nothing may remain at the end.
    if (broken < 0 || whole[offset + broken] === PART_OF_LETTER || index === tokens.length - 1) {
      const last = pieces.at(-1);
      // A vowel or tone mark, as those of Thai, is a part of the letter before it.
      if (last !== undefined && MARK_FIRST.test(text)) {
        last.text += text;
        last.tokens.push(...pending);
      } else pieces.push({ text, tokens: pending });
      offset += text.length;
      pending = [];
    }
  }
  return pieces;
}

/** Median duration of a window's words in seconds, at most 0.7; 0 if there are none. */
export function medianWordSeconds(words: readonly TimedWord[]): number {
  const lengths = words.map(({ startSeconds, endSeconds }) => endSeconds - startSeconds).filter((length) => length > 0);
  lengths.sort((a, b) => a - b);
  const middle = lengths.length / 2;
  const median = ((lengths[Math.ceil(middle) - 1] ?? 0) + (lengths[Math.floor(middle)] ?? 0)) / 2;
  return Math.min(MAX_MEDIAN_SECONDS, median);
}

/** Removes pauses at sentence ends from the words that the alignment assigned them to. */
export function trimAtSentences(words: readonly TimedWord[], longestSeconds: number): readonly TimedWord[] {
  return words.map((word, index) => {
    if (index === 0 || word.endSeconds - word.startSeconds <= longestSeconds) return word;
    if (SENTENCE_ENDS.includes(word.text.trim())) return { ...word, endSeconds: word.startSeconds + longestSeconds };
    const before = words[index - 1]?.text.trim() ?? '';
    if (before !== '' && SENTENCE_ENDS.includes(before)) {
      return { ...word, startSeconds: word.endSeconds - longestSeconds };
    }
    return word;
  });
}

/** Attaches punctuation to its word; the word keeps its own times and probability. */
export function mergePunctuation(words: readonly TimedWord[]): readonly TimedWord[] {
  const merged: TimedWord[] = [];
  // Backwards: opening punctuation attaches to the following word.
  for (const word of [...words].reverse()) {
    const behind = merged[0];
    const sign = word.text.trim();
    // Only a space, too.
    if (behind !== undefined && word.text.startsWith(' ') && sign.length <= 1 && PREPENDED.includes(sign)) {
      merged[0] = { ...behind, text: word.text + behind.text, tokens: [...word.tokens, ...behind.tokens] };
    } else {
      merged.unshift(word);
    }
  }
  const done: TimedWord[] = [];
  for (const word of merged) {
    const before = done.at(-1);
    // One token may be several signs, such as `..."`.
    const isAppended = [...word.text].every((one) => APPENDED.includes(one));
    if (before !== undefined && !before.text.endsWith(' ') && isAppended) {
      done[done.length - 1] = { ...before, text: before.text + word.text, tokens: [...before.tokens, ...word.tokens] };
    } else {
      done.push(word);
    }
  }
  return done;
}

/** A segment with its words. Its times become those of the first and last word, unless these are implausible. */
export interface WordedSegment {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly words: readonly TimedWord[];
}

/**
 * Reconciles the times of the first and last word with the segment's own: a first word after a pause is not stretched
 * over it, and where word and segment differ by more than 0.5 s, the segment's time wins.
 */
export function settleEnds(
  segment: Pick<WordedSegment, 'startSeconds' | 'endSeconds'>,
  given: readonly TimedWord[],
  medianSeconds: number,
  lastSpeechSeconds: number,
): WordedSegment {
  const words = given.map((word) => ({ ...word }));
  const [first, second] = words;
  const last = words.at(-1);
  let { startSeconds, endSeconds } = segment;
  if (first === undefined || last === undefined) return { startSeconds, endSeconds, words };
  const longest = 2 * medianSeconds;
  const length = (word: TimedWord) => word.endSeconds - word.startSeconds;
  const drawnOut =
    length(first) > longest || (second !== undefined && second.endSeconds - first.startSeconds > 2 * longest);
  if (first.endSeconds - lastSpeechSeconds > 4 * medianSeconds && drawnOut) {
    if (second !== undefined && length(second) > longest) {
      const boundary = Math.max(second.endSeconds / 2, second.endSeconds - longest);
      first.endSeconds = boundary;
      second.startSeconds = boundary;
    }
    first.startSeconds = Math.max(0, first.endSeconds - longest);
  }
  if (startSeconds < first.endSeconds && startSeconds - 0.5 > first.startSeconds) {
    first.startSeconds = Math.max(first.startSeconds, Math.min(first.endSeconds - medianSeconds, startSeconds));
  } else {
    startSeconds = first.startSeconds;
  }
  if (endSeconds > last.startSeconds && endSeconds + 0.5 < last.endSeconds) {
    last.endSeconds = Math.min(last.endSeconds, Math.max(last.startSeconds + medianSeconds, endSeconds));
  } else {
    endSeconds = last.endSeconds;
  }
  return { startSeconds, endSeconds, words };
}
