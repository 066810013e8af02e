import { expect } from 'chai';
import type { SpeechSegment } from '../../src/models/speech/speech.js';
import { KeptParts } from '../../src/models/speech/time-map.js';

const RATE = 16_000;

function segment(
  startSeconds: number,
  endSeconds: number,
  words: readonly (readonly [number, number])[] = [],
): SpeechSegment {
  return {
    id: 0,
    startSeconds,
    endSeconds,
    text: '',
    tokens: [],
    avgLogProb: 0,
    compressionRatio: 1,
    noSpeechProb: 0,
    temperature: 0,
    words: words.map(([start, end]) => ({ text: '', startSeconds: start, endSeconds: end, probability: 1 })),
  };
}

describe('the time map', () => {
  // Kept: 2 to 5 s and, in two chunks, 20 to 24 s.
  const parts = new KeptParts();
  parts.add(2 * RATE, 5 * RATE);
  parts.add(20 * RATE, 21 * RATE);
  parts.add(21 * RATE, 24 * RATE);

  const times = (given: SpeechSegment) => {
    const { startSeconds, endSeconds } = parts.restore(given);
    return [startSeconds, endSeconds];
  };

  it('restores the position of a segment', () => {
    expect(times(segment(0.5, 1))).to.deep.equal([2.5, 3]);
    expect(times(segment(3.5, 6.5))).to.deep.equal([20.5, 23.5]);
  });

  it('maps the border of two parts to the end of one and the start of the other', () => {
    expect(times(segment(1, 3))).to.deep.equal([3, 5]);
    expect(times(segment(3, 7))).to.deep.equal([20, 24]);
    expect(parts.endOf(3)).to.equal(5);
  });

  it('places a word by its middle, and a segment by its first and last word', () => {
    const { words, startSeconds, endSeconds } = parts.restore(
      segment(0, 4, [
        [2.5, 3.25],
        [3.25, 3.75],
      ]),
    );
    expect(words.map((word) => [word.startSeconds, word.endSeconds])).to.deep.equal([
      [4.5, 5.25],
      [20.25, 20.75],
    ]);
    expect([startSeconds, endSeconds]).to.deep.equal([4.5, 20.75]);
  });

  it('leaves times unchanged if nothing was kept', () => {
    expect(new KeptParts().endOf(1)).to.equal(1);
  });
});
