import { expect } from 'chai';
import { LogitsProcessors } from '../../src/models/whisper/logits-processors.js';

/** A vocabulary of ten words (0 to 9), then the special tokens, then times from 0.00 s to 0.20 s. */
const SPECIAL = {
  endOfText: 10,
  startOfTranscript: 11,
  translate: 12,
  transcribe: 13,
  startOfPrevious: 14,
  noSpeech: 15,
  noTimestamps: 16,
  firstTimestamp: 17,
};
const SIZE = 28;
/** A word that a fine-tune has added behind the times up to 30.00 s. */
const ADDED = SPECIAL.firstTimestamp + 1501;
const time = (step: number) => SPECIAL.firstTimestamp + step;

function allowed(
  sampled: readonly number[],
  logits: Float32Array = new Float32Array(SIZE),
  timestamps = true,
  speechEndIndex?: number,
): number[] {
  const processors = new LogitsProcessors({
    special: SPECIAL,
    isText: (token) => token < SPECIAL.endOfText || token === ADDED,
    suppressed: [3],
    suppressedFirst: [0, SPECIAL.endOfText],
    timestamps,
    maxInitialTimestampIndex: 4,
    speechEndIndex,
  });
  processors.apply(logits, sampled);
  return [...logits.keys()].filter((token) => logits[token] !== Number.NEGATIVE_INFINITY);
}

/** Scores with which the times together are no likelier than a word. */
function wordsLikely(): Float32Array {
  return new Float32Array(SIZE).fill(-20, SPECIAL.firstTimestamp);
}

const WORDS = [0, 1, 2, 4, 5, 6, 7, 8, 9];
const TIMES = Array.from({ length: 11 }, (_, step) => time(step));

describe('the logits processors', () => {
  it('let a window begin with a time, none after the largest first one', () => {
    expect(allowed([])).to.deep.equal(TIMES.slice(0, 5));
  });

  it('let a word follow the first time, no other time', () => {
    expect(allowed([time(0)], wordsLikely())).to.deep.equal([...WORDS, SPECIAL.endOfText]);
  });

  it('let a time follow words, only a later one than the last', () => {
    expect(allowed([time(2), 1], wordsLikely())).to.deep.equal([...WORDS, SPECIAL.endOfText, ...TIMES.slice(3)]);
  });

  it('let the same or a later time, or the end, follow the time that ends a segment', () => {
    expect(allowed([time(2), 1, time(5)], wordsLikely())).to.deep.equal([SPECIAL.endOfText, ...TIMES.slice(5)]);
  });

  it('let a word follow a pair of times', () => {
    expect(allowed([time(2), 1, time(5), time(5)], wordsLikely())).to.deep.equal([...WORDS, SPECIAL.endOfText]);
  });

  it('demand a time when all times together are likelier than any word', () => {
    expect(allowed([time(0), 1])).to.deep.equal(TIMES.slice(1));
  });

  it('allow no end at a time long before speech ends, unless it is sure', () => {
    const ended = [time(0), 1, time(5), time(5)];
    expect(allowed(ended, wordsLikely(), true, 106)).to.deep.equal(WORDS);
    expect(allowed(ended, wordsLikely(), true, 105)).to.include(SPECIAL.endOfText);
    const sure = wordsLikely();
    sure[SPECIAL.endOfText] = 10;
    expect(allowed(ended, sure, true, 200)).to.include(SPECIAL.endOfText);
    expect(allowed([time(0)], wordsLikely(), true, 200)).to.include(SPECIAL.endOfText);
  });

  it('let a word behind the times be sampled where words are, and nothing else there', () => {
    const logits = () => new Float32Array(ADDED + 3).fill(-20, SPECIAL.firstTimestamp, ADDED);
    const behind = (sampled: readonly number[], timestamps = true) =>
      allowed(sampled, logits(), timestamps).filter((token) => token >= ADDED);
    for (const sampled of [[time(0)], [time(2), ADDED], [time(2), 1, time(5), time(5)]])
      expect(behind(sampled)).to.deep.equal([ADDED]);
    for (const sampled of [[], [time(2), 1, time(5)]]) expect(behind(sampled)).to.deep.equal([]);
    expect(behind([1], false)).to.deep.equal([ADDED]);
    expect(allowed([time(0), ADDED], logits())).to.include(time(3));
    const likely = logits().fill(-30, 0, SPECIAL.firstTimestamp).fill(-30, SPECIAL.firstTimestamp);
    likely[ADDED] = 5;
    expect(allowed([time(0), 1], likely)).to.include(ADDED);
    expect(allowed([time(0), 1], new Float32Array(ADDED + 3))).to.not.include(ADDED);
  });

  it('allow no timestamps, and no end before the first word, without timestamps', () => {
    expect(allowed([], new Float32Array(SIZE), false)).to.deep.equal(WORDS.slice(1));
    expect(allowed([1], new Float32Array(SIZE), false)).to.deep.equal([...WORDS, SPECIAL.endOfText]);
  });
});
