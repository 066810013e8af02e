import type { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { readImageHeader } from '../../src/media/images/index.js';
import { ImageThreads } from '../../src/media/images/thread/image-threads.js';
import { MAX_THREADS } from '../../src/media/images/thread/limits.js';
import { imageFixture } from '../support/image-files.js';

describe('ImageThreads', () => {
  const started: Worker[] = [];
  const note = (worker: Worker) => started.push(worker);
  before(() => process.on('worker', note));
  after(() => process.off('worker', note));

  it('decodes on as many threads as its limit allows, also after damaged images, and reuses them', async () => {
    const content = imageFixture('x.bmp');
    const { width, height } = await readImageHeader(content, 1_000_000);
    const requests = [content, content.subarray(0, 60), content, content, content.subarray(0, 60), content];
    const threads = new ImageThreads();
    const decoded = requests.map((bytes) => threads.decode({ format: 'BMP', content: bytes, width, height }));
    const settled = await Promise.allSettled(decoded);
    expect(settled.map(({ status }) => status === 'fulfilled')).to.deep.equal(
      requests.map((bytes) => bytes.length === content.length),
    );
    expect(started).to.have.length(MAX_THREADS);
  });
});
