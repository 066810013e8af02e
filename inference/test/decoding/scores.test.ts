import { expect } from 'chai';
import { seededRandom } from '../../src/models/decoding/random.js';
import { indexOfHighest, indexOfRival, logSumExp, sampleIndex } from '../../src/models/decoding/scores.js';

const NEVER = Number.NEGATIVE_INFINITY;

describe('scores', () => {
  it('find the highest, the first of equals, none among nothing', () => {
    expect(indexOfHighest(Float32Array.of(1, 3, 2, 3))).to.equal(1);
    expect(indexOfHighest(Float32Array.of(1, 3, 2, 9), 0, 3)).to.equal(1);
    expect(indexOfHighest(Float32Array.of(NEVER, NEVER))).to.equal(-1);
    expect(indexOfRival(Float32Array.of(1, 3, 2, 3), 1)).to.equal(3);
    expect(indexOfRival(Float32Array.of(1, NEVER), 0)).to.equal(-1);
  });

  it('are summed as a softmax would, without overflow, at any temperature', () => {
    const logits = Float32Array.of(1000, 999, NEVER, 400);
    expect(logSumExp(logits)).to.be.closeTo(1000 + Math.log(1 + Math.exp(-1)), 1e-9);
    expect(logSumExp(logits, 0, 4, 0.5)).to.be.closeTo(2000 + Math.log(1 + Math.exp(-2)), 1e-9);
    expect(logSumExp(Float32Array.of(NEVER))).to.equal(NEVER);
  });

  it('are summed over a vocabulary to seven digits of the sum of exponentials', () => {
    const logits = Float32Array.from({ length: 50_000 }, (_, i) => 12 * Math.sin(i * i) + 3 * Math.cos(i));
    for (const temperature of [0.2, 0.7, 1, 3]) {
      const sum = logits.reduce((total, value) => total + Math.exp(value / temperature), 0);
      expect(logSumExp(logits, 0, logits.length, temperature)).to.be.closeTo(Math.log(sum), 1e-7);
    }
  });

  it('are sampled by probability, never what has none, the same for the same seed', () => {
    const logits = Float32Array.from([NEVER, Math.log(0.75), NEVER, Math.log(0.25)]);
    const draw = (seed: number) => {
      const random = seededRandom(seed);
      return Array.from({ length: 2000 }, () => sampleIndex(logits, 1, random));
    };
    const drawn = draw(7);
    expect(drawn).to.deep.equal(draw(7));
    expect(drawn).to.not.deep.equal(draw(8));
    expect(new Set(drawn)).to.deep.equal(new Set([1, 3]));
    expect(drawn.filter((index) => index === 1).length / 2000).to.be.closeTo(0.75, 0.03);
    expect(sampleIndex(logits, 1, () => 0.999_999_999)).to.equal(3);
    // Nine to one at half the temperature.
    expect([0.89, 0.91].map((random) => sampleIndex(logits, 0.5, () => random))).to.deep.equal([1, 3]);
  });

  it('are sampled as the last that counts where many that do not are left', () => {
    const logits = new Float32Array(50_000).fill(-23);
    logits[31_000] = 0;
    expect(sampleIndex(logits, 1, () => 0.999_999)).to.equal(31_000);
  });

  it('are sampled as the highest at a temperature near 0, however small', () => {
    const logits = Float32Array.from({ length: 50_000 }, (_, index) => (index === 31_000 ? 12.5 : index / 5_000));
    for (const temperature of [1e-3, 1e-6, 1e-7, 1e-10, 1e-20, 1e-45]) {
      for (const random of [0, 0.5, 0.999_999]) {
        expect(
          sampleIndex(logits, temperature, () => random),
          `${temperature}`,
        ).to.equal(31_000);
      }
    }
  });
});
