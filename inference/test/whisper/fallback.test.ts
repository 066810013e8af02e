import { expect } from 'chai';
import { compressionRatio } from '../../src/models/decoding/compression-ratio.js';
import {
  allSuggestSilence,
  bestOfFailed,
  corrects,
  type DecodingResult,
  isEndOf,
  isSilence,
  mayBeMisled,
  mayHoldNoSpeech,
  needsFallback,
} from '../../src/models/whisper/fallback.js';

const LIMITS = { compressionRatioThreshold: 2.4, logProbThreshold: -1, noSpeechThreshold: 0.6 };

function result(avgLogProb: number, noSpeechProb: number, ratio = 1, temperature = 0): DecodingResult {
  return {
    tokens: [],
    avgLogProb,
    noSpeechProb,
    compressionRatio: ratio,
    temperature,
    steady: false,
    echoes: false,
    doubtful: false,
  };
}

describe('the temperature fallback', () => {
  it('falls back when the log-probability is low or the text repeats itself', () => {
    expect(needsFallback(result(-0.3, 0.1), LIMITS)).to.equal(false);
    expect(needsFallback(result(-1.2, 0.1), LIMITS)).to.equal(true);
    expect(needsFallback(result(-0.3, 0.1, 5), LIMITS)).to.equal(true);
  });

  it('counts a value that equals its threshold as within it', () => {
    const equal = result(-1, 0.6, 2.4);
    expect([needsFallback(equal, LIMITS), isSilence(equal, LIMITS)]).to.deep.equal([false, false]);
    expect(isSilence({ ...equal, noSpeechProb: 0.9 }, LIMITS)).to.equal(false);
    expect(mayHoldNoSpeech({ ...equal, noSpeechProb: 0.3 }, LIMITS)).to.equal(false);
    expect(bestOfFailed([equal, result(-1.1, 0, 1, 0.2)], LIMITS)).to.equal(equal);
    expect(bestOfFailed([equal, result(-1, 0.6, 2.4, 0.2)], LIMITS)).to.equal(equal);
    expect(allSuggestSilence([result(-1.1, 0.4, 2.4)], undefined, LIMITS)).to.equal(false);
    expect(allSuggestSilence([result(-1.1, 0.3, 9)], undefined, LIMITS)).to.equal(false);
  });

  it('treats uncertain text with a high no-speech probability as silence, and certain text as speech', () => {
    expect(needsFallback(result(-1.2, 0.9), LIMITS)).to.equal(false);
    expect(isSilence(result(-1.2, 0.9), LIMITS)).to.equal(true);
    expect(isSilence(result(-0.3, 0.9), LIMITS)).to.equal(false);
    expect(isSilence(result(-1.2, 0.5), LIMITS)).to.equal(false);
  });

  it('treats certain text as silence when the sound is as steady as noise', () => {
    const steady = { ...result(-0.3, 0.9), steady: true };
    expect(isSilence(steady, LIMITS)).to.equal(true);
    expect(needsFallback({ ...steady, compressionRatio: 9 }, LIMITS)).to.equal(false);
    expect(isSilence({ ...steady, noSpeechProb: 0.1 }, LIMITS)).to.equal(false);
  });

  it('treats a repeated end of the previous text with a high no-speech probability as silence', () => {
    const results = { ...result(-0.4, 0.9), echoes: true };
    expect(isSilence(results, LIMITS)).to.equal(true);
    expect(needsFallback(results, LIMITS)).to.equal(false);
    expect(isSilence({ ...results, noSpeechProb: 0.5 }, LIMITS)).to.equal(false);
  });

  it('doubts the text before a window where a result only repeats its end, however sure the model is', () => {
    const [own, echo] = [result(-0.3, 0.01), { ...result(-0.3, 0.01), echoes: true }];
    expect(mayBeMisled(echo, echo, false, LIMITS)).to.equal(true);
    expect(mayBeMisled(own, own, false, LIMITS)).to.equal(false);
    // A higher temperature has found other words.
    expect(mayBeMisled(result(-0.3, 0.01, 5), own, false, LIMITS)).to.equal(false);
    expect(mayBeMisled(result(-0.3, 0.01, 5), undefined, false, LIMITS)).to.equal(true);
    expect(mayBeMisled(echo, undefined, true, LIMITS)).to.equal(true);
  });

  it('takes what is decoded without the text before a window only where it says more, as that text may have the right spelling', () => {
    const saying = (count: number) => ({ ...result(-0.3, 0.01), tokens: Array.from({ length: count }, (_, at) => at) });
    expect(corrects(saying(8), saying(4), LIMITS)).to.equal(false);
    expect(corrects(saying(9), saying(4), LIMITS)).to.equal(true);
    expect(corrects(saying(1), undefined, LIMITS)).to.equal(true);
    expect(corrects({ ...saying(9), avgLogProb: -1.2 }, undefined, LIMITS)).to.equal(false);
    expect(corrects({ ...saying(9), avgLogProb: -1.2, noSpeechProb: 0.9 }, saying(4), LIMITS)).to.equal(false);
  });

  it('compares the end of a text by words, in any script', () => {
    expect(isEndOf('The music stopped.', 'It was loud. When the music stopped')).to.equal(true);
    expect(isEndOf('음악이 멈췄다', '그리고 음악이 멈췄다.')).to.equal(true);
    expect(isEndOf('topped.', 'When the music stopped')).to.equal(false);
    expect(isEndOf('When the music', 'When the music stopped')).to.equal(false);
    expect(isEndOf('...', 'When the music stopped')).to.equal(false);
  });

  it('treats repeated text with a high no-speech probability as silence', () => {
    expect(isSilence(result(-0.3, 0.9, 5), LIMITS)).to.equal(true);
    expect(needsFallback(result(-0.3, 0.9, 5), LIMITS)).to.equal(false);
    expect(isSilence(result(-0.3, 0.5, 5), LIMITS)).to.equal(false);
  });

  it('treats a window as silence when all temperatures fail and half of the no-speech threshold is reached', () => {
    const silent = (...results: DecodingResult[]) => allSuggestSilence(results, result(-1.1, 0.5), LIMITS);
    expect(silent(result(-1.4, 0.4), result(-1.5, 0.4, 1, 1))).to.equal(true);
    expect(silent(result(-1.4, 0.2), result(-1.5, 0.2, 1, 1))).to.equal(false);
    expect(silent(result(-1.4, 0.4), result(-0.5, 0.4, 9, 1))).to.equal(true);
    expect(silent(result(-1.4, 0.4), result(-0.5, 0.4, 1, 1))).to.equal(false);
  });

  it('treats text that is equally sure with either padding as speech in noise', () => {
    const results = [result(-1.1, 0.4), result(-1.5, 0.4, 1, 1)];
    expect(allSuggestSilence(results, result(-1.2, 0.3), LIMITS)).to.equal(false);
    expect(allSuggestSilence(results, result(-1.05, 0.3), LIMITS)).to.equal(false);
    expect(allSuggestSilence(results, undefined, LIMITS)).to.equal(false);
  });

  it('treats repeated text as silence with or without a second padding', () => {
    const results = [result(-0.2, 0.4, 9), result(-1.5, 0.4, 1, 1)];
    expect(allSuggestSilence(results, undefined, LIMITS)).to.equal(true);
    expect(allSuggestSilence(results, result(-0.2, 0.4, 9), LIMITS)).to.equal(true);
  });

  it('suspects uncertain text, and a no-speech probability above half the threshold', () => {
    expect(mayHoldNoSpeech(result(-0.3, 0.1), LIMITS)).to.equal(false);
    expect(mayHoldNoSpeech(result(-0.3, 0.4), LIMITS)).to.equal(true);
    expect(mayHoldNoSpeech(result(-1.2, 0.1), LIMITS)).to.equal(true);
  });

  it('prefers the most probable result that does not repeat itself when all failed', () => {
    const results = [result(-1.5, 0, 1, 0), result(-0.2, 0, 9, 0.2), result(-1.2, 0, 1.1, 0.4)];
    expect(bestOfFailed(results, LIMITS).temperature).to.equal(0.4);
    expect(bestOfFailed(results.slice(1, 2), LIMITS).temperature).to.equal(0.2);
  });

  it('computes the compression ratio as Python with zlib', () => {
    // len(t) / len(zlib.compress(t)) for these texts, Python 3.11.
    expect(compressionRatio('And so my fellow Americans')).to.be.closeTo(26 / 34, 1e-9);
    expect(compressionRatio('ha '.repeat(100))).to.be.above(10);
    expect(compressionRatio('')).to.equal(0);
  });
});
