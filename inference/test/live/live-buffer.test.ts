import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import type { PcmSource } from '../../src/media/audio/pcm.js';
import { LiveBuffer } from '../../src/models/speech/live/live-buffer.js';

const { signal } = new AbortController();

/** A source of parts of 1600 samples that are there at once; how many were read. */
function arriving(parts: number, failure?: Error): { source: PcmSource; read: () => number } {
  let count = 0;
  const source = {
    warnings: [],
    async read() {
      if (count === parts && failure !== undefined) throw failure;
      if (count === parts) return null;
      count += 1;
      return new Float32Array(1600).fill(count);
    },
    async close() {},
  };
  return { source, read: () => count };
}

describe('LiveBuffer', () => {
  it('takes all that has come, in whole steps, and the rest at the end', async () => {
    const buffer = new LiveBuffer(arriving(20).source, signal);
    const first = await buffer.take(4096, 512);
    expect(first.samples.length % 512).to.equal(0);
    await turn();
    const second = await buffer.take(4096, 512);
    expect(second.ended).to.equal(true);
    expect(first.samples.length + second.samples.length).to.equal(20 * 1600);
    expect(buffer.end).to.equal(20 * 1600);
    const joined = [...first.samples, ...second.samples];
    expect(joined).to.deep.equal(Array.from({ length: 20 * 1600 }, (_, at) => 1 + Math.floor(at / 1600)));
    expect(await buffer.take(4096, 512)).to.deep.equal({ samples: new Float32Array(0), ended: true });
  });

  it('reads 4 s ahead and no more', async () => {
    const { source, read } = arriving(1000);
    const buffer = new LiveBuffer(source, signal);
    await turn();
    expect(read()).to.equal(40);
    expect((await buffer.take(4096, 512)).samples).to.have.lengthOf(64_000);
    await turn();
    expect(read()).to.equal(80);
  });

  it('keeps the positions of what it has when it drops what is before', async () => {
    const buffer = new LiveBuffer(arriving(4).source, signal);
    await turn();
    await buffer.take(4096, 512);
    for (const position of [1600, 800]) {
      buffer.dropBefore(position);
      expect(buffer.startSeconds).to.equal(0.1);
      expect(buffer.upTo(3200)).to.deep.equal(new Float32Array(1600).fill(2));
    }
    expect(buffer.end).to.equal(4 * 1600);
  });

  it('fails as its source does', async () => {
    const failure = new Error('the audio is damaged');
    const buffer = new LiveBuffer(arriving(2, failure).source, signal);
    let thrown: unknown;
    await buffer.take(4096, 512).catch((error: unknown) => {
      thrown = error;
    });
    expect(thrown).to.equal(failure);
  });
});
