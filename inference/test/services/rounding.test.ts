import { expect } from 'chai';
import { toSegment } from '../../src/services/transcription.js';

describe('the times of an answer', () => {
  it('are rounded to milliseconds, of a segment and of its words', () => {
    const word = { text: ' word', startSeconds: 12.1 + 35.22, endSeconds: 47.7, probability: 0.123_456_789 };
    const { words, startSeconds, endSeconds } = toSegment({
      id: 0,
      text: ' word',
      startSeconds: 47.320_000_000_000_01,
      endSeconds: 1 / 3,
      tokens: [],
      avgLogProb: 0,
      compressionRatio: 1,
      noSpeechProb: 0,
      temperature: 0,
      words: [word],
    });
    expect({ startSeconds, endSeconds }).to.deep.equal({ startSeconds: 47.32, endSeconds: 0.333 });
    expect(words[0]).to.include({ startSeconds: 47.32, endSeconds: 47.7, probability: 0.123_456_789 });
  });
});
