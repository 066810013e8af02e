/** Formats readable subtitles: SubRip (SRT) and WebVTT, in lines and cues of limited size. Pure. */
import { displayWidth } from './display-width.js';

export interface SubtitleWord {
  /** The word with the space before it and the punctuation that belongs to it. */
  readonly text: string;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** A segment of a transcript. */
export interface SubtitleSegment extends SubtitleWord {
  /** Empty: the times of words are estimated by their position in the text. */
  readonly words: readonly SubtitleWord[];
}

export interface SubtitleOptions {
  /** Columns; wide characters (Chinese, Japanese, Korean) take two. Default 42. */
  readonly maxLineWidth?: number | undefined;
  /** Lines of a cue. Default 2. */
  readonly maxLines?: number | undefined;
  /** WebVTT: underlines each word while it is spoken. Requires word times; other segments are unchanged. */
  readonly highlightWords?: boolean | undefined;
}

export type SubtitleFormat = 'srt' | 'vtt';

/** Header of a file of the format. */
export const SUBTITLE_HEADERS = { srt: '', vtt: 'WEBVTT\n\n' } as const satisfies Record<SubtitleFormat, string>;

const DEFAULT_LINE_WIDTH = 42;
const DEFAULT_LINES = 2;

/** A word with its size, which is measured once. */
interface MeasuredWord extends SubtitleWord {
  readonly columns: number;
  /** Columns of the space before it, which the first word of a line has not. */
  readonly indent: number;
}

interface Cue {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly lines: readonly (readonly MeasuredWord[])[];
}

/** Converts segments, one at a time, to the text of one file, after its header. */
export class SubtitleFormatter {
  readonly #format: SubtitleFormat;
  readonly #options: SubtitleOptions;
  #count = 0;

  constructor(format: SubtitleFormat, options: SubtitleOptions = {}) {
    this.#format = format;
    this.#options = options;
  }

  /** Returns the segment's cues; none for a segment without text. */
  segment(segment: SubtitleSegment): string {
    const cues = cuesOf(segment, this.#options);
    const highlights = this.#format === 'vtt' && this.#options.highlightWords === true && segment.words.length > 0;
    return cues
      .map((cue) => (highlights ? this.#highlighted(cue) : this.#cue(cue, textOf(cue, this.#format))))
      .join('');
  }

  #cue({ startSeconds, endSeconds }: Pick<Cue, 'startSeconds' | 'endSeconds'>, text: string): string {
    this.#count += 1;
    const point = this.#format === 'srt' ? ',' : '.';
    const number = this.#format === 'srt' ? `${this.#count}\n` : '';
    const startMs = milliseconds(startSeconds);
    // A cue without a length is invalid in WebVTT, and players skip it in SRT.
    const endMs = Math.max(startMs + 1, milliseconds(endSeconds));
    return `${number}${clock(startMs, point)} --> ${clock(endMs, point)}\n${text}\n\n`;
  }

  /** The cue once for each word, and once for each pause between words. */
  #highlighted(cue: Cue): string {
    let at = cue.startSeconds;
    let text = '';
    for (const word of cue.lines.flat()) {
      const startSeconds = Math.max(at, word.startSeconds);
      const endSeconds = Math.min(cue.endSeconds, word.endSeconds);
      if (endSeconds <= startSeconds) continue;
      if (startSeconds > at) text += this.#cue({ startSeconds: at, endSeconds: startSeconds }, textOf(cue, 'vtt'));
      text += this.#cue({ startSeconds, endSeconds }, textOf(cue, 'vtt', word));
      at = endSeconds;
    }
    if (cue.endSeconds > at || text === '')
      text += this.#cue({ startSeconds: at, endSeconds: cue.endSeconds }, textOf(cue, 'vtt'));
    return text;
  }
}

/** A whole file. */
export function formatSubtitles(
  format: SubtitleFormat,
  segments: readonly SubtitleSegment[],
  options?: SubtitleOptions,
): string {
  const formatter = new SubtitleFormatter(format, options);
  return SUBTITLE_HEADERS[format] + segments.map((segment) => formatter.segment(segment)).join('');
}

/** Cues of about the same width, so that the last one is not a single word. */
function cuesOf(segment: SubtitleSegment, options: SubtitleOptions): Cue[] {
  const width = options.maxLineWidth ?? DEFAULT_LINE_WIDTH;
  const maxLines = options.maxLines ?? DEFAULT_LINES;
  const words = wordsOf(segment, width, options.highlightWords !== true);
  const total = widthOf(words);
  const count = Math.ceil(wrap(words, width).length / maxLines);
  const groups: MeasuredWord[][] = [];
  let done = 0;
  for (const word of words) {
    const current = groups.at(-1);
    const share = (total * groups.length) / count;
    const enough = groups.length < count && done + widthOf([word]) / 2 > share;
    if (current === undefined || enough || wrap([...current, word], width).length > maxLines) groups.push([word]);
    else current.push(word);
    done += widthOf([word]);
  }
  return groups.map((group, index) => ({
    startSeconds: index === 0 ? segment.startSeconds : (group[0]?.startSeconds ?? 0),
    endSeconds: index === groups.length - 1 ? segment.endSeconds : (group.at(-1)?.endSeconds ?? 0),
    lines: balanced(group, width),
  }));
}

/** What a line may be broken between. A word that is wider than a line is cut, as text without spaces has to be: between its own words. */
function wordsOf(segment: SubtitleSegment, width: number, joins: boolean): MeasuredWord[] {
  const { text, words, startSeconds, endSeconds } = segment;
  const timed = joins ? joinedLetters(words) : words;
  const parts = words.length > 0 ? timed : estimated(text, startSeconds, endSeconds);
  return parts
    .filter((word) => word.text.trim() !== '')
    .map(measured)
    .flatMap((word) => (word.indent + word.columns > width ? cut(word, width).map(measured) : word));
}

function measured(word: SubtitleWord): MeasuredWord {
  const text = word.text.replaceAll(/\s+/g, ' ');
  const trimmed = text.trimStart();
  return { ...word, columns: displayWidth(trimmed), indent: text.length - trimmed.length };
}

/** Text without spaces has the times of its letters: here those of its words. */
function joinedLetters(letters: readonly SubtitleWord[]): readonly SubtitleWord[] {
  let at = 0;
  const starts = new Set<number>();
  for (const word of unspacedWords(letters.map(({ text }) => text).join(''))) {
    starts.add(at);
    at += word.length;
  }
  at = 0;
  const words: SubtitleWord[] = [];
  for (const letter of letters) {
    const last = words.at(-1);
    if (last === undefined || starts.has(at)) words.push(letter);
    else words[words.length - 1] = { ...last, text: last.text + letter.text, endSeconds: letter.endSeconds };
    at += letter.text.length;
  }
  return words;
}

function estimated(text: string, startSeconds: number, endSeconds: number): SubtitleWord[] {
  const perCharacter = (endSeconds - startSeconds) / Math.max(1, text.length);
  return [...text.matchAll(/\s*\S+/g)].map((match) => ({
    text: match[0],
    startSeconds: startSeconds + match.index * perCharacter,
    endSeconds: startSeconds + (match.index + match[0].length) * perCharacter,
  }));
}

function cut({ text, startSeconds, endSeconds }: SubtitleWord, width: number): SubtitleWord[] {
  const perCharacter = (endSeconds - startSeconds) / text.length;
  const parts = unspacedWords(text).flatMap((part) => (displayWidth(part) > width ? linesOf(part, width) : part));
  let at = 0;
  return parts.map((part) => {
    const from = at;
    at += part.length;
    return {
      text: part,
      startSeconds: startSeconds + from * perCharacter,
      endSeconds: startSeconds + at * perCharacter,
    };
  });
}

/** Made for the first text that needs it: every program imports this file. */
let segmenter: Intl.Segmenter | undefined;

/** The words of a text without spaces. A sign stays with the word before it, an opening one with the word behind it, as spaces do. */
function unspacedWords(text: string): string[] {
  const words: string[] = [];
  let begun = true;
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'word' });
  for (const { segment, isWordLike } of segmenter.segment(text)) {
    const begins: boolean = isWordLike ? !begun : /^\s/.test(segment) || (!begun && /^[\p{Ps}\p{Pi}]/u.test(segment));
    if (begins || words.length === 0) words.push(segment);
    else words[words.length - 1] += segment;
    begun = !isWordLike && (begun || begins);
  }
  return words;
}

function linesOf(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const last = lines.at(-1);
    if (last === undefined || displayWidth(last + segment) > width) lines.push(segment);
    else lines[lines.length - 1] = last + segment;
  }
  return lines;
}

/** Wraps into the same number of lines as `wrap`, of about equal width. */
function balanced(words: readonly MeasuredWord[], width: number): MeasuredWord[][] {
  const { length } = wrap(words, width);
  for (let narrow = Math.ceil(widthOf(words) / Math.max(1, length)); narrow < width; narrow += 1) {
    const lines = wrap(words, narrow);
    if (lines.length === length && lines.every((line) => widthOf(line) <= width)) return lines;
  }
  return wrap(words, width);
}

function wrap(words: readonly MeasuredWord[], width: number): MeasuredWord[][] {
  const lines: MeasuredWord[][] = [];
  for (const word of words) {
    const line = lines.at(-1);
    if (line === undefined || widthOf([...line, word]) > width) lines.push([word]);
    else line.push(word);
  }
  return lines;
}

function widthOf(words: readonly MeasuredWord[]): number {
  return words.reduce((sum, { indent, columns }) => sum + indent + columns, -(words[0]?.indent ?? 0));
}

/** A blank line would end the cue, and so might an arrow in SRT, which has no escapes. */
function textOf({ lines }: Cue, format: SubtitleFormat, highlighted?: SubtitleWord): string {
  return lines
    .map((line) => {
      if (format === 'srt') return spaced(line.map(({ text }) => text).join('')).replaceAll(/-{2,}>/g, '->');
      return spaced(line.map((word) => (word === highlighted ? underlined(word.text) : escaped(word.text))).join(''));
    })
    .join('\n');
}

function underlined(text: string): string {
  const word = text.trimStart();
  return `${text.slice(0, text.length - word.length)}<u>${escaped(word)}</u>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function spaced(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ');
}

function milliseconds(seconds: number): number {
  return Math.max(0, Math.round(seconds * 1000));
}

function clock(ms: number, point: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const parts = [Math.floor(ms / 3_600_000), Math.floor(ms / 60_000) % 60, Math.floor(ms / 1000) % 60].map(two);
  return `${parts.join(':')}${point}${String(ms % 1000).padStart(3, '0')}`;
}
