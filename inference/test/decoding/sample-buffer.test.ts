import { expect } from 'chai';
import { SampleBuffer } from '../../src/models/speech/sample-buffer.js';
import { sourceOf } from '../support/speech.js';

const signal = new AbortController().signal;
const counting = Float32Array.from({ length: 100_000 }, (_, i) => i);

describe('SampleBuffer', () => {
  it('returns windows that advance by the dropped samples, for any chunks of the source', async () => {
    const buffer = new SampleBuffer(
      sourceOf(counting, 777),
      { clipStartSeconds: 0, clipEndSeconds: undefined },
      signal,
    );
    const starts: number[] = [];
    while (await buffer.fill(30_000)) {
      const window = buffer.peek(30_000);
      starts.push(window[0] ?? -1);
      expect(window.length).to.equal(Math.min(30_000, 100_000 - (window[0] ?? 0)));
      expect(window.at(-1)).to.equal((window[0] ?? 0) + window.length - 1);
      buffer.drop(17_000);
    }
    expect(starts).to.deep.equal([0, 17_000, 34_000, 51_000, 68_000, 85_000]);
    expect(buffer.durationSeconds).to.equal(100_000 / 16_000);
    expect(buffer.keptSeconds).to.equal(100_000 / 16_000);
  });

  it('returns the samples of the clip, and the total length', async () => {
    const buffer = new SampleBuffer(sourceOf(counting, 4000), { clipStartSeconds: 1, clipEndSeconds: 2.5 }, signal);
    expect(buffer.endSeconds).to.equal(Number.POSITIVE_INFINITY);
    expect(await buffer.fill(1_000_000)).to.equal(true);
    expect([buffer.startSeconds, buffer.endSeconds]).to.deep.equal([1, 2.5]);
    expect(buffer.peek(1_000_000)).to.deep.equal(counting.slice(16_000, 40_000));
    expect(buffer.durationSeconds).to.equal(100_000 / 16_000);
    expect(buffer.keptSeconds).to.equal(1.5);
    buffer.drop(30_000);
    expect([buffer.startSeconds, buffer.endSeconds]).to.deep.equal([2.5, 2.5]);
    expect(await buffer.fill(1)).to.equal(false);
  });

  it('is empty for a clip after the end', async () => {
    const buffer = new SampleBuffer(sourceOf(counting), { clipStartSeconds: 60, clipEndSeconds: undefined }, signal);
    expect(await buffer.fill(1)).to.equal(false);
    expect(buffer.durationSeconds).to.equal(100_000 / 16_000);
  });
});
