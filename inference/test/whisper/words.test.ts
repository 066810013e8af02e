import { expect } from 'chai';
import { medianFiltered, warp } from '../../src/models/whisper/align.js';
import {
  medianWordSeconds,
  mergePunctuation,
  settleEnds,
  splitWords,
  type TimedWord,
  trimAtSentences,
} from '../../src/models/whisper/words.js';

/** A vocabulary by number; 7 and 8 are the two halves of one letter. */
const PIECES = [' Hello', ',', ' wor', 'ld', '.', ' "', 'you', '\uFFFD', '\uFFFD', 'ก', '\u0e48', '\u0e32'];
const decode = (tokens: readonly number[]) =>
  tokens
    .map((token) => PIECES[token])
    .join('')
    .replace('\uFFFD\uFFFD', 'é');

function word(text: string, startSeconds: number, endSeconds: number): TimedWord {
  return { text, tokens: [1], startSeconds, endSeconds, probability: 1 };
}

describe('words', () => {
  it('begin at spaces and at punctuation, and never within a letter', () => {
    expect(splitWords([0, 1, 2, 3, 7, 8, 4], decode, 'en')).to.deep.equal([
      { text: ' Hello', tokens: [0] },
      { text: ',', tokens: [1] },
      { text: ' worldé', tokens: [2, 3, 7, 8] },
      { text: '.', tokens: [4] },
    ]);
    expect(splitWords([6, 7, 8, 6], decode, 'zh').map(({ text }) => text)).to.deep.equal(['you', 'é', 'you']);
    expect(splitWords([9, 10, 11, 10], decode, 'th')).to.deep.equal([
      { text: 'ก่', tokens: [9, 10] },
      { text: 'า่', tokens: [11, 10] },
    ]);
  });

  it('may be a replacement character of the text itself', () => {
    expect(splitWords([0, 7, 2], decode, 'en').map(({ text }) => text)).to.deep.equal([' Hello\uFFFD', ' wor']);
  });

  it('have every token, also those of a letter that is not complete', () => {
    const bytes = [[0xe3], [0x81], [0x20, 0x61], [0x20, 0x62]];
    const text = (tokens: readonly number[]) =>
      new TextDecoder().decode(Uint8Array.from(tokens.flatMap((token) => bytes[token] ?? [])));
    expect(splitWords([0, 1, 2, 3], text, 'en').flatMap(({ tokens }) => tokens)).to.deep.equal([0, 1, 2, 3]);
  });

  it('include their punctuation, and keep their own times', () => {
    const said = [word(' "', 0, 1), word('You', 1, 2), word('.', 2, 5), word(' Yes', 5, 6), word('"', 6, 7)];
    const merged = mergePunctuation([...said, word(' No', 7, 8)]);
    expect(merged.map(({ text, startSeconds, endSeconds }) => [text, startSeconds, endSeconds])).to.deep.equal([
      [' "You.', 1, 2],
      [' Yes"', 5, 6],
      [' No', 7, 8],
    ]);
  });

  it('include the space before them where it is a token, as in Japanese after a sentence', () => {
    const merged = mergePunctuation([word('です', 0, 1), word('。', 1, 2), word(' ', 2, 3), word('東', 3, 4)]);
    expect(merged.map(({ text, startSeconds, endSeconds }) => [text, startSeconds, endSeconds])).to.deep.equal([
      ['です。', 0, 1],
      [' 東', 3, 4],
    ]);
  });

  it('include signs that are one token, such as an ellipsis or the end of a quotation', () => {
    const merged = mergePunctuation([word(' Well', 0, 1), word('...', 1, 4), word(' no', 4, 5), word('."', 5, 6)]);
    expect(merged.map(({ text, startSeconds, endSeconds }) => [text, startSeconds, endSeconds])).to.deep.equal([
      [' Well...', 0, 1],
      [' no."', 4, 5],
    ]);
  });

  it('have a median duration, of those that last, of at most 0.7 s, as in faster-whisper', () => {
    const median = (...seconds: number[]) => medianWordSeconds(seconds.map((length) => word(' a', 0, length)));
    expect([median(), median(0), median(0, 0.125, 0.5, 0.25), median(0.5, 0.25), median(1, 2, 3)]).to.deep.equal([
      0, 0, 0.25, 0.375, 0.7,
    ]);
  });

  it('do not last through the pause at the end of a sentence', () => {
    const said = [word(' Yes', 0, 0.4), word('.', 0.4, 3), word(' No', 3, 9), word('!', 9, 9.5)];
    const trimmed = trimAtSentences(said, 0.8);
    expect(trimmed.map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])).to.deep.equal([
      [0, 0.4],
      [0.4, 1.2000000000000002],
      [8.2, 9],
      [9, 9.5],
    ]);
  });

  it('do not last through the pause before the first of them', () => {
    const settled = settleEnds({ startSeconds: 0, endSeconds: 6 }, [word(' Yes', 0, 5), word(' no', 5, 5.5)], 0.3, 0);
    expect(settled.words[0]).to.include({ startSeconds: 4.4, endSeconds: 5 });
    expect(settled).to.include({ startSeconds: 4.4, endSeconds: 5.5 });
    const short = [word(' Yes', 0, 0.9), word(' no', 0.9, 1.2)];
    // Of a window, whose first word would be no longer than others after a pause before the window.
    expect(settleEnds({ startSeconds: 0, endSeconds: 6 }, short, 0.3, 0).words[0]).to.include({ startSeconds: 0 });
    const behindPause = settleEnds({ startSeconds: 0, endSeconds: 6 }, short, 0.3, -2).words[0];
    expect(behindPause?.startSeconds).to.be.closeTo(0.3, 1e-9);
    const both = [word(' Yes', 0, 4), word(' no', 4, 8)];
    const { words } = settleEnds({ startSeconds: 0, endSeconds: 8 }, both, 0.5, 0);
    expect(words.map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])).to.deep.equal([
      [6, 7],
      [7, 8],
    ]);
    // The pause may be in the second word alone.
    const late = settleEnds({ startSeconds: 0, endSeconds: 5 }, [word(' Yes', 0, 0.5), word(' no', 0.5, 5)], 0.5, -9);
    expect(late.words.map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])).to.deep.equal([
      [3, 4],
      [4, 5],
    ]);
  });

  it('take the time of their segment where they differ from it by more than half a second', () => {
    const settle = (startSeconds: number, endSeconds: number, ...words: TimedWord[]) => {
      const settled = settleEnds({ startSeconds, endSeconds }, words, 0.25, 9);
      const times = settled.words.map((one) => [one.startSeconds, one.endSeconds]);
      return [settled.startSeconds, settled.endSeconds, ...times];
    };
    expect(settle(2, 4, word(' a', 1, 3), word(' b', 3, 5))).to.deep.equal([2, 4, [2, 3], [3, 4]]);
    expect(settle(1.5, 4.5, word(' a', 1, 3), word(' b', 3, 5))).to.deep.equal([1, 5, [1, 3], [3, 5]]);
    // A word lasts at least as long as others.
    expect(settle(2.875, 3.125, word(' a', 1, 3), word(' b', 3, 5))).to.deep.equal([
      2.875,
      3.125,
      [2.75, 3],
      [3, 3.25],
    ]);
    // A segment that ends before its word begins is wrong itself.
    expect(settle(3.5, 2.5, word(' a', 1, 3), word(' b', 3, 5))).to.deep.equal([1, 5, [1, 3], [3, 5]]);
  });

  it('never reach into the words of the segments before and after theirs', () => {
    const own = [word(' a', 2, 2.6), word(' b', 3, 3.6)];
    const { words } = settleEnds({ startSeconds: 2.55, endSeconds: 3.05 }, own, 0.7, 2);
    expect(words.map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])).to.deep.equal([
      [2, 2.6],
      [3, 3.6],
    ]);
  });
});

describe('alignment', () => {
  it('follows the weights from the first to the last', () => {
    const weights = new Float64Array(3 * 8).fill(-1);
    const said = [0, 0, 1, 1, 1, 2, 2, 2];
    said.forEach((row, column) => {
      weights[row * 8 + column] = 1;
    });
    expect(warp(weights, 3, 8)).to.deep.equal([0, 2, 5]);
  });

  it('assigns every row a column when there are more rows than columns', () => {
    expect(warp(new Float64Array(4).fill(1), 4, 1)).to.deep.equal([0, 0, 0, 0]);
  });

  it('ignores single peaks', () => {
    const line = Float64Array.of(0, 0, 0, 9, 0, 0, 1, 1, 1, 1, 1, 1);
    expect(Array.from(medianFiltered(line))).to.deep.equal([0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1]);
    expect(Array.from(medianFiltered(Float64Array.of(1, 2)))).to.deep.equal([1, 2]);
  });
});
