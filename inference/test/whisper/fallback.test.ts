import { expect } from 'chai';
import { compressionRatio } from '../../src/models/decoding/compression-ratio.js';
import {
  type Attempt,
  isEndOf,
  isSilence,
  isSilenceAfterAll,
  leastBad,
  mayHoldNoSpeech,
  needsFallback,
} from '../../src/models/whisper/fallback.js';

const LIMITS = { compressionRatioThreshold: 2.4, logProbThreshold: -1, noSpeechThreshold: 0.6 };

function attempt(avgLogProb: number, noSpeechProb: number, ratio = 1, temperature = 0): Attempt {
  return {
    tokens: [],
    text: '',
    avgLogProb,
    noSpeechProb,
    compressionRatio: ratio,
    temperature,
    steady: false,
    echoes: false,
    doubtful: false,
  };
}

describe('judging an attempt', () => {
  it('accepts a sure one, sends back one that is unsure or repeats itself', () => {
    expect(needsFallback(attempt(-0.3, 0.1), LIMITS)).to.equal(false);
    expect(needsFallback(attempt(-1.2, 0.1), LIMITS)).to.equal(true);
    expect(needsFallback(attempt(-0.3, 0.1, 5), LIMITS)).to.equal(true);
  });

  it('takes unsure words where nothing is said for silence, and sure ones for speech', () => {
    expect(needsFallback(attempt(-1.2, 0.9), LIMITS)).to.equal(false);
    expect(isSilence(attempt(-1.2, 0.9), LIMITS)).to.equal(true);
    expect(isSilence(attempt(-0.3, 0.9), LIMITS)).to.equal(false);
    expect(isSilence(attempt(-1.2, 0.5), LIMITS)).to.equal(false);
  });

  it('takes sure words for silence too where the sound is as steady as noise', () => {
    const transcribed = { ...attempt(-0.3, 0.9), steady: true };
    expect(isSilence(transcribed, LIMITS)).to.equal(true);
    expect(needsFallback({ ...transcribed, compressionRatio: 9 }, LIMITS)).to.equal(false);
    expect(isSilence({ ...transcribed, noSpeechProb: 0.1 }, LIMITS)).to.equal(false);
  });

  it('takes the end of the text before, said again, for silence where nothing is said', () => {
    const heard = { ...attempt(-0.4, 0.9), echoes: true };
    expect(isSilence(heard, LIMITS)).to.equal(true);
    expect(needsFallback(heard, LIMITS)).to.equal(false);
    expect(isSilence({ ...heard, noSpeechProb: 0.5 }, LIMITS)).to.equal(false);
  });

  it('knows the end of a text by its words, in any script', () => {
    expect(isEndOf('The music stopped.', 'It was loud. When the music stopped')).to.equal(true);
    expect(isEndOf('음악이 멈췄다', '그리고 음악이 멈췄다.')).to.equal(true);
    expect(isEndOf('topped.', 'When the music stopped')).to.equal(false);
    expect(isEndOf('When the music', 'When the music stopped')).to.equal(false);
    expect(isEndOf('...', 'When the music stopped')).to.equal(false);
  });

  it('takes words that are sure by repetition alone for silence too where nothing is said', () => {
    expect(isSilence(attempt(-0.3, 0.9, 5), LIMITS)).to.equal(true);
    expect(needsFallback(attempt(-0.3, 0.9, 5), LIMITS)).to.equal(false);
    expect(isSilence(attempt(-0.3, 0.5, 5), LIMITS)).to.equal(false);
  });

  it('takes a window for silence of which no attempt convinces, when half of what is needed speaks for it', () => {
    const silent = (...attempts: Attempt[]) => isSilenceAfterAll(attempts, attempt(-1.1, 0.5), LIMITS);
    expect(silent(attempt(-1.4, 0.4), attempt(-1.5, 0.4, 1, 1))).to.equal(true);
    expect(silent(attempt(-1.4, 0.2), attempt(-1.5, 0.2, 1, 1))).to.equal(false);
    expect(silent(attempt(-1.4, 0.4), attempt(-0.5, 0.4, 9, 1))).to.equal(true);
    expect(silent(attempt(-1.4, 0.4), attempt(-0.5, 0.4, 1, 1))).to.equal(false);
  });

  it('takes words that are as sure before a hiss as before silence for speech that noise hides', () => {
    const heard = [attempt(-1.1, 0.4), attempt(-1.5, 0.4, 1, 1)];
    expect(isSilenceAfterAll(heard, attempt(-1.2, 0.3), LIMITS)).to.equal(false);
    expect(isSilenceAfterAll(heard, attempt(-1.05, 0.3), LIMITS)).to.equal(false);
    expect(isSilenceAfterAll(heard, undefined, LIMITS)).to.equal(false);
  });

  it('takes a text that repeats itself for silence, whether or not it was heard before a hiss', () => {
    const heard = [attempt(-0.2, 0.4, 9), attempt(-1.5, 0.4, 1, 1)];
    expect(isSilenceAfterAll(heard, undefined, LIMITS)).to.equal(true);
    expect(isSilenceAfterAll(heard, attempt(-0.2, 0.4, 9), LIMITS)).to.equal(true);
  });

  it('has what may be made up looked at twice: unsure words, and what is half said to be no speech', () => {
    expect(mayHoldNoSpeech(attempt(-0.3, 0.1), LIMITS)).to.equal(false);
    expect(mayHoldNoSpeech(attempt(-0.3, 0.4), LIMITS)).to.equal(true);
    expect(mayHoldNoSpeech(attempt(-1.2, 0.1), LIMITS)).to.equal(true);
  });

  it('prefers the surest that does not repeat itself when all failed', () => {
    const attempts = [attempt(-1.5, 0, 1, 0), attempt(-0.2, 0, 9, 0.2), attempt(-1.2, 0, 1.1, 0.4)];
    expect(leastBad(attempts, LIMITS).temperature).to.equal(0.4);
    expect(leastBad(attempts.slice(1, 2), LIMITS).temperature).to.equal(0.2);
  });

  it('measures repetition as Python does with zlib', () => {
    // len(t) / len(zlib.compress(t)) for these texts, Python 3.11.
    expect(compressionRatio('And so my fellow Americans')).to.be.closeTo(26 / 34, 1e-9);
    expect(compressionRatio('ha '.repeat(100))).to.be.above(10);
    expect(compressionRatio('')).to.equal(0);
  });
});
