import { expect } from 'chai';
import { Downmix } from '../../src/media/audio/downmix.js';
import { tone } from './wav-file.js';

const RATE_HZ = 8_000;

/** Mixes channels in chunks of a number of samples. */
function mixed(channels: readonly Float32Array[], size = 8_000): { samples: number[]; cancelled: boolean } {
  const downmix = new Downmix();
  const samples: number[] = [];
  const take = (blocks: ReturnType<Downmix['push']>) => {
    for (const block of blocks) samples.push(...block.samples);
  };
  for (let at = 0; at < (channels[0]?.length ?? 0); at += size) {
    take(downmix.push({ channels: channels.map((each) => each.subarray(at, at + size)), sampleRateHz: RATE_HZ }));
  }
  take(downmix.flush());
  return { samples, cancelled: downmix.cancelled };
}

const scaled = (samples: Float32Array, factor: number) => samples.map((sample) => sample * factor);
const power = (samples: readonly number[]) => Math.hypot(...samples) / Math.sqrt(samples.length);

describe('Channels mixed to mono', () => {
  const left = tone(440, RATE_HZ, 2);

  it('are their mean', () => {
    const right = scaled(tone(300, RATE_HZ, 2), 0.25);
    const { samples, cancelled } = mixed([left, right]);
    expect(samples.length).to.equal(left.length);
    expect(samples[777]).to.be.closeTo(((left[777] ?? 0) + (right[777] ?? 0)) / 2, 1e-7);
    expect(cancelled).to.equal(false);
  });

  for (const factor of [-1, -0.9, -0.7]) {
    it(`that cancel become the loudest channel: the right is ${factor} times the left`, () => {
      const { samples, cancelled } = mixed([left, scaled(left, factor)]);
      // The first 10 ms fade to it.
      expect(samples.slice(80)).to.deep.equal([...left.subarray(80)]);
      expect(cancelled).to.equal(true);
    });
  }

  it('that cancel become the first one that has at least half the power of the loudest', () => {
    const base = scaled(left, 0.25);
    for (const [factor, chosen] of [
      [-1.4, 1],
      [-1.5, -1.5],
    ] as const) {
      expect(mixed([base, scaled(base, factor)]).samples.slice(80)).to.deep.equal([
        ...scaled(base, chosen).subarray(80),
      ]);
    }
  });

  it('cancel if less than a fifth of their power is left, and if they are loud enough to tell', () => {
    const cancelled = (factor: number, loudness: number) =>
      mixed([scaled(left, loudness), scaled(left, factor * loudness)]).cancelled;
    expect([cancelled(-0.52, 1), cancelled(-0.48, 1)]).to.deep.equal([true, false]);
    expect([cancelled(-1, 0.01), cancelled(-1, 0.001)]).to.deep.equal([true, false]);
  });

  it('that cancelled are their mean again as soon as more than three fifths of their power are left', () => {
    const last = (factor: number) => {
      const right = left.map((sample, index) => (index < 8_000 ? -sample : factor * sample));
      return mixed([left, right]).samples.at(-97) ?? 0;
    };
    const sample = left.at(-97) ?? 0;
    expect(last(-0.33)).to.equal(sample);
    expect(last(-0.15)).to.be.closeTo(sample * 0.425, 1e-6);
  });

  it('keep the times of the parts of a block, and are mixed apart if their rate changes', () => {
    const downmix = new Downmix();
    const block = { channels: [left, left], sampleRateHz: RATE_HZ, timestampSeconds: 1 };
    const times = downmix.push(block).map(({ timestampSeconds }) => timestampSeconds);
    expect(times).to.deep.equal([1, 1.5, 2, 2.5]);
    const short = [left.subarray(0, 100), left.subarray(0, 100)];
    expect(downmix.push({ ...block, channels: short })).to.deep.equal([]);
    const [before] = downmix.push({ ...block, channels: short, sampleRateHz: 2 * RATE_HZ });
    expect(before?.sampleRateHz).to.equal(RATE_HZ);
  });

  it('that cancel for a while become one channel for that time', () => {
    const right = left.map((sample, index) => (index < 8_000 ? sample : -sample));
    const { samples } = mixed([left, right]);
    expect(power(samples.slice(0, 7_000))).to.be.closeTo(power([...left.subarray(0, 7_000)]), 1e-6);
    expect(power(samples.slice(9_000))).to.be.closeTo(power([...left.subarray(9_000)]), 1e-6);
  });

  it('change from one to the other within 10 ms, without a click', () => {
    const constant = (value: number) => new Float32Array(4_000).fill(value);
    const downmix = new Downmix();
    const next = (...channels: Float32Array[]) => downmix.push({ channels, sampleRateHz: RATE_HZ })[0]?.samples ?? [];
    next(constant(0.1), constant(0.1));
    const fading = [...next(constant(0.5), constant(-0.5))];
    const far = fading.map((sample, index) => Math.abs(sample - 0.5 * Math.min(1, (index + 1) / 81)));
    expect(Math.max(...far)).to.be.below(1e-6);
    // From a channel to a mean of the same level.
    const level = [...next(constant(0.4), constant(0.4))];
    expect([level.length, Math.min(...level), Math.max(...level)]).to.deep.equal([
      4_000,
      Math.fround(0.4),
      Math.fround(0.4),
    ]);
  });

  it('that are correlated, uncorrelated or silent become their mean', () => {
    const other = tone(1_000, RATE_HZ, 2);
    const wide = left.map((sample, index) => 0.5 * (other[index] ?? 0) - 0.4 * sample);
    for (const right of [other, wide, new Float32Array(left.length)]) {
      expect(mixed([left, right]).cancelled).to.equal(false);
    }
    expect(mixed([left, left, left, left, left, left]).cancelled).to.equal(false);
  });

  it('are independent of the chunk size', () => {
    const right = left.map((sample, index) => (index % 9_000 < 5_000 ? -sample : sample));
    const whole = mixed([left, right], left.length);
    for (const size of [7, 1_000, 4_001]) expect(mixed([left, right], size)).to.deep.equal(whole);
    // Every fourth sample decides, wherever a chunk begins.
    const fourth = left.map((sample, index) => (index % 4 === 0 ? -sample : sample));
    expect(mixed([left, fourth], 7).cancelled).to.equal(true);
  });

  it('become silence at NaN', () => {
    const broken = left.slice();
    broken[100] = Number.NaN;
    broken[101] = Number.POSITIVE_INFINITY;
    const { samples } = mixed([broken, left]);
    expect(samples[100]).to.equal(0);
    expect(samples[101]).to.equal(1);
    expect(samples.every((sample) => sample >= -1 && sample <= 1)).to.equal(true);
  });
});
