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

  it('have every token, also those of a letter that is not complete', () => {
    const bytes = [[0xe3], [0x81], [0x20, 0x61], [0x20, 0x62]];
    const text = (tokens: readonly number[]) =>
      new TextDecoder().decode(Uint8Array.from(tokens.flatMap((token) => bytes[token] ?? [])));
    expect(splitWords([0, 1, 2, 3], text, 'en').flatMap(({ tokens }) => tokens)).to.deep.equal([0, 1, 2, 3]);
  });

  it('include their punctuation, and keep their own times', () => {
    const merged = mergePunctuation([word(' "', 0, 1), word('You', 1, 2), word('.', 2, 5), word(' Yes', 5, 6)]);
    expect(merged.map(({ text, startSeconds, endSeconds }) => [text, startSeconds, endSeconds])).to.deep.equal([
      [' "You.', 1, 2],
      [' Yes', 5, 6],
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
    expect([median(), median(0), median(0, 0.5, 0.25, 0.125), median(0.5, 0.25), median(1, 2, 3)]).to.deep.equal([
      0, 0, 0.25, 0.375, 0.7,
    ]);
  });

  it('do not last through the pause at the end of a sentence', () => {
    const trimmed = trimAtSentences([word(' Yes', 0, 0.4), word('.', 0.4, 3), word(' No', 3, 9)], 0.8);
    expect(trimmed.map(({ startSeconds, endSeconds }) => [startSeconds, endSeconds])).to.deep.equal([
      [0, 0.4],
      [0.4, 1.2000000000000002],
      [8.2, 9],
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
