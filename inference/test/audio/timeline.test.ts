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
      [100, 0.19],
      [100, 0.25],
      [100, 4],
      [100, undefined],
    ]);
    expect(parts).to.deep.equal([
      [0, 100],
      [0, 100],
      [0, 100],
      [0, 100],
      [3_600, 100],
      [0, 100],
    ]);
    expect(seconds).to.be.closeTo(4.2, 1e-9);
  });

  it('fills small gaps once they add up', () => {
    const blocks = Array.from({ length: 100 }, (_, index) => [20, 1 + index * 0.035] as const);
    const { parts, seconds } = placed(blocks);
    const silences = parts.map(([silence]) => silence);
    expect(silences.slice(0, 10)).to.deep.equal([1_000, 0, 0, 45, 0, 0, 45, 0, 0, 45]);
    expect(seconds).to.be.closeTo(4.5, 0.06);
  });

  it('ignores a hole behind the first packet, which is the encoder delay that a fragmented MP4 moves to 0', () => {
    const { parts, seconds } = placed([
      [21, 0],
      [21, 0.133],
      [100, 0.154],
      [100, 0.354],
    ]);
    expect(parts.map(([silence]) => silence)).to.deep.equal([0, 0, 0, 100]);
    expect(seconds).to.be.closeTo(0.342, 1e-9);
  });

  it('fills no more than its jitter in times that jitter', () => {
    const jitter = [0, 0.03, -0.02, 0.045, -0.045, 0.01];
    const blocks = Array.from({ length: 600 }, (_, index) => [20, index * 0.02 + (jitter[index % 6] ?? 0)] as const);
    const { seconds, parts } = placed(blocks);
    expect(seconds).to.be.closeTo(12, 0.05);
    expect(parts.every(([, samples]) => samples === 20)).to.equal(true);
  });

  it('does not accumulate rounding errors', () => {
    const blocks = Array.from({ length: 1_000 }, (_, index) => [100, index * 0.101] as const);
    expect(placed(blocks).seconds).to.be.closeTo(101, 0.05);
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

  for (const [what, timestamp, expected, jumps] of [
    ['an overlap of less than 0.15 s', 1.86, [0, 1_500], 0],
    ['a larger overlap', 1.84, [0, 1_340], 0],
    ['a second back', 1.01, [0, 510], 0],
    ['more than a second back', 0.9, [0, 1_500], 1],
    ['almost an hour forward', 3_601, [3_599_000, 1_500], 0],
    ['more than an hour forward', 3_603, [0, 1_500], 1],
  ] as const) {
    it(`has limits: ${what}`, () => {
      const { parts, warnings } = placed([
        [2_000, 0],
        [1_500, timestamp],
      ]);
      expect(parts[1]).to.deep.equal(expected);
      expect(warnings).to.have.length(jumps);
    });
  }

  it('goes on if it begins at 0 again after less than a second, as in joined files', () => {
    const { parts, warnings } = placed([
      [600, 0],
      [300, 0.02],
      [300, 0.32],
    ]);
    expect(parts).to.deep.equal([
      [0, 600],
      [0, 300],
      [0, 300],
    ]);
    expect(warnings).to.deep.equal(["The audio's clock jumps back by 0.58 s at 0.60 s; the gap was ignored."]);
  });

  it('warns of the first jump only, and goes on after a time that is invalid or has no samples', () => {
    const jumps = placed([
      [1_000, 0],
      [100, -500],
      [100, 9_000],
    ]);
    expect(jumps.warnings).to.have.length(1);
    for (const [first, length] of [
      [Number.NaN, 100],
      [1, 0],
    ] as const) {
      const { parts } = placed([
        [100, 0],
        [length, first],
        [100, 3],
      ]);
      expect(parts).to.deep.equal([
        [0, 100],
        [0, length],
        [2_900 - length, 100],
      ]);
    }
  });

  it('treats a clock that starts a day late or is invalid as starting at 0', () => {
    for (const timestamp of [86_400, Number.NaN, Number.POSITIVE_INFINITY]) {
      const { parts, warnings } = placed([
        [100, timestamp],
        [100, undefined],
        [100, timestamp + 0.2],
      ]);
      expect(parts).to.deep.equal([
        [0, 100],
        [0, 100],
        [0, 100],
      ]);
      expect(warnings).to.deep.equal([]);
    }
  });
});
