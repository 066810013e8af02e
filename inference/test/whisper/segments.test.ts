import { expect } from 'chai';
import { isTimestamp, splitAtTimestamps, untilRepetition } from '../../src/models/whisper/segments.js';

const FIRST = 100;
const WINDOW = 30 * 16_000;
const time = (seconds: number) => FIRST + Math.round(seconds / 0.02);

describe('splitting a window at its timestamps', () => {
  it('cuts between the timestamps of a pair and continues at the last pair', () => {
    const { segments, advanceSamples } = splitAtTimestamps(
      [time(0), 1, 2, time(4.2), time(4.2), 3, time(9), time(9.5), 4, 5],
      FIRST,
      WINDOW,
    );
    expect(segments).to.deep.equal([
      { startSeconds: 0, endSeconds: 4.2, tokens: [time(0), 1, 2, time(4.2)] },
      { startSeconds: 4.2, endSeconds: 9, tokens: [time(4.2), 3, time(9)] },
    ]);
    expect(advanceSamples).to.equal(9 * 16_000);
  });

  it('takes a token behind 30.00 s for a word', () => {
    const { segments } = splitAtTimestamps([time(0), FIRST + 1501, time(2), time(2), FIRST + 1502, 1], FIRST, WINDOW);
    expect(segments).to.deep.equal([{ startSeconds: 0, endSeconds: 2, tokens: [time(0), FIRST + 1501, time(2)] }]);
  });

  it('is done with the window when its text ends with a single time', () => {
    const { segments, advanceSamples } = splitAtTimestamps([time(0), 1, time(2), time(2), 2, time(6)], FIRST, WINDOW);
    expect(segments.map(({ endSeconds }) => endSeconds)).to.deep.equal([2, 6]);
    expect(advanceSamples).to.equal(WINDOW);
  });

  it('makes one segment of a window without a pair, up to its last timestamp or its end', () => {
    expect(splitAtTimestamps([time(0), 1, 2, time(3)], FIRST, WINDOW)).to.deep.equal({
      segments: [{ startSeconds: 0, endSeconds: 3, tokens: [time(0), 1, 2, time(3)] }],
      advanceSamples: WINDOW,
      goesOn: false,
    });
    const { segments, ...untimed } = splitAtTimestamps([time(0), 1, 2], FIRST, 16_000);
    expect(segments[0]?.endSeconds).to.equal(1);
    // Without an end, as when the tokens of a window are used up, the text continues.
    expect(untimed).to.deep.equal({ advanceSamples: 16_000, goesOn: true });
  });

  it('is done with a chunk where its text begins to repeat a sentence because it must not end', () => {
    const said = (...sentences: readonly number[]) => {
      const tokens = sentences.flatMap((sentence, index) => [time(2 * index), sentence, time(2 * index + 2)]);
      return splitAtTimestamps(tokens, FIRST, WINDOW);
    };
    const { segments, ...rest } = untilRepetition(said(1, 2, 2, 2), FIRST, 20);
    expect(segments.map(({ tokens }) => tokens[1])).to.deep.equal([1]);
    expect(rest).to.deep.equal({ advanceSamples: 2 * 16_000, goesOn: true });
    // Said from the beginning, said again later, or when the text might have ended.
    for (const [split, mustGoOnSeconds] of [
      [said(2, 2, 2, 1), 20],
      [said(1, 2, 1, 2), 20],
      [said(1, 2, 2), 4],
    ] as const)
      expect(untilRepetition(split, FIRST, mustGoOnSeconds)).to.equal(split);
  });

  it('takes the tokens of 0 to 30 s for times, and those on both sides for words', () => {
    const kinds = [FIRST - 1, FIRST, time(30), time(30.02)].map((token) => isTimestamp(token, FIRST));
    expect(kinds).to.deep.equal([false, true, true, false]);
  });
});
