import { expect } from 'chai';
import { Timeline } from '../../src/media/audio/timeline.js';

const RATE_HZ = 1_000;
const block = (milliseconds: number) => new Float32Array(milliseconds).fill(0.5);

/** Milliseconds of silence and of samples of each placed block. */
function placed(blocks: readonly (readonly [milliseconds: number, timestampSeconds: number | undefined])[]) {
  const timeline = new Timeline();
  const parts = blocks.map(([milliseconds, timestampSeconds]) => {
    const { silentSamples, samples } = timeline.place(block(milliseconds), RATE_HZ, timestampSeconds);
    return [silentSamples, samples.length];
  });
  return { parts, warnings: timeline.warnings, seconds: timeline.seconds };
}

describe('A timeline', () => {
  it('begins with the silence before the first sample, and drops samples before 0', () => {
    expect(placed([[100, 2]]).parts).to.deep.equal([[2_000, 100]]);
    expect(placed([[100, -0.03]]).parts).to.deep.equal([[0, 70]]);
    expect(
      placed([
        [100, -0.15],
        [100, -0.05],
      ]).parts,
    ).to.deep.equal([
      [0, 0],
      [0, 50],
    ]);
  });

  it('fills gaps, and ignores small deviations', () => {
    const { parts, seconds } = placed([
      [100, 0],
      [100, 0.13],
      [100, 4],
      [100, undefined],
    ]);
    expect(parts).to.deep.equal([
      [0, 100],
      [0, 100],
      [3_800, 100],
      [0, 100],
    ]);
    expect(seconds).to.be.closeTo(4.2, 1e-9);
  });

  it('does not accumulate rounding errors', () => {
    const blocks = Array.from({ length: 1_000 }, (_, index) => [100, index * 0.101] as const);
    expect(placed(blocks).seconds).to.be.closeTo(101, 0.16);
  });

  it('drops samples that overlap the previous ones', () => {
    expect(
      placed([
        [1_000, 0],
        [500, 0.6],
      ]).parts,
    ).to.deep.equal([
      [0, 1_000],
      [0, 100],
    ]);
  });

  for (const [name, timestamp, said] of [
    ['back', -500, 'back by 501 s'],
    ['far forward', 90_000, 'forward by 89999 s'],
  ] as const) {
    it(`ignores a clock jump ${name}, with a warning`, () => {
      const { parts, warnings } = placed([
        [1_000, 0],
        [100, timestamp],
        [100, timestamp + 0.1],
        [100, timestamp + 1.2],
      ]);
      expect(parts).to.deep.equal([
        [0, 1_000],
        [0, 100],
        [0, 100],
        [1_000, 100],
      ]);
      expect(warnings).to.have.length(1);
      expect(warnings[0]).to.contain(said);
    });
  }

  it('treats a clock that starts a day late or is invalid as starting at 0', () => {
    for (const timestamp of [86_400, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { parts, warnings } = placed([[100, timestamp]]);
      expect(parts).to.deep.equal([[0, 100]]);
      expect(warnings).to.deep.equal([]);
    }
  });
});
