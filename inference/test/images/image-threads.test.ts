import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { readImageHeader } from '../../src/media/images/index.js';
import { ImageThread } from '../../src/media/images/thread/image-thread.js';
import { ImageThreads } from '../../src/media/images/thread/image-threads.js';
import { MAX_THREADS } from '../../src/media/images/thread/limits.js';
import { imageFixture } from '../support/image-files.js';

describe('ImageThreads', () => {
  it('decodes on as many threads as its limit allows, also after damaged images, and reuses them', async () => {
    const content = imageFixture('x.bmp');
    const { width, height } = await readImageHeader(content, 1_000_000);
    const requests = [content, content.subarray(0, 60), content, content, content.subarray(0, 60), content];
    let started = 0;
    const threads = new ImageThreads(() => {
      started += 1;
      return new ImageThread();
    });
    const decoded = requests.map((bytes) => threads.decode({ format: 'BMP', content: bytes, width, height }));
    const settled = await Promise.allSettled(decoded);
    expect(settled.map(({ status }) => status === 'fulfilled')).to.deep.equal(
      requests.map((bytes) => bytes.length === content.length),
    );
    expect(started).to.equal(MAX_THREADS);
  });

  it('holds up no later image if no thread can be started', async () => {
    const threads = new ImageThreads(() => {
      throw new InferenceError('QUEUE_FULL', 'no thread is left');
    });
    const request = { format: 'BMP', content: imageFixture('x.bmp'), width: 1, height: 1 } as const;
    for (let image = 0; image <= MAX_THREADS; image += 1) {
      expect(await threads.decode(request).catch((error: unknown) => error)).to.include({ code: 'QUEUE_FULL' });
    }
  });
});
