import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type ImageIndex, ImageIndexError, readImageIndex, writeImageIndex } from '../src/search/image-index.js';
import { rank } from '../src/search/rank.js';

describe('the nearest vectors', () => {
  it('are sorted best first with stable ties, up to the limit', () => {
    const vectors = new Float32Array([0, 1, 1, 0, 0.5, 0.5, 1, 0]);
    const found = rank(new Float32Array([1, 0]), vectors, 3);
    expect(found).to.deep.equal([
      { index: 1, score: 1 },
      { index: 3, score: 1 },
      { index: 2, score: 0.5 },
    ]);
  });

  it('are empty for no vectors', () => {
    expect(rank(new Float32Array(2), new Float32Array(), 3)).to.deep.equal([]);
  });

  it('are refused for an empty query and for vectors of other dimensions', () => {
    expect(() => rank(new Float32Array(), new Float32Array(4), 3)).to.throw(RangeError, '0 dimensions, got 4 numbers');
    expect(() => rank(new Float32Array(3), new Float32Array(4), 3)).to.throw(RangeError, '3 dimensions, got 4 numbers');
  });
});

describe('an index of images', () => {
  let dir: string;
  let path: string;
  const index: ImageIndex = {
    model: { id: 'org/name', revision: 'a'.repeat(40), variant: 'q8' },
    dimensions: 3,
    images: [
      { path: 'ä/one image.png', sizeBytes: 10, modifiedMs: 1_700_000_000_000 },
      { path: 'two.png', sizeBytes: 0, modifiedMs: 0 },
    ],
    vectors: new Float32Array([0.25, -1, 3e-9, 4, 5, 6]),
  };

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-index-'));
    path = join(dir, 'a.index');
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('round-trips, and leaves no temporary files', async () => {
    await writeImageIndex(path, index);
    await writeImageIndex(path, index);
    expect(await readImageIndex(path)).to.deep.equal(index);
    expect(await readdir(dir)).to.deep.equal(['a.index']);
  });

  it('may have a name as long as file systems allow', async () => {
    const long = join(dir, `${'가'.repeat(83)}.index`);
    await writeImageIndex(long, index);
    expect(await readImageIndex(long)).to.deep.equal(index);
  });

  it('may be empty', async () => {
    const empty = { ...index, dimensions: 0, images: [], vectors: new Float32Array() };
    await writeImageIndex(path, empty);
    expect(await readImageIndex(path)).to.deep.equal(empty);
  });

  it('truncated anywhere is rejected', async () => {
    await writeImageIndex(path, index);
    const whole = await readFile(path);
    for (let length = 0; length < whole.byteLength; length += 1) {
      await writeFile(path, whole.subarray(0, length));
      const error = await readImageIndex(path).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error, `${length} bytes`).to.be.instanceOf(ImageIndexError);
      expect(error).to.include({ code: 'DAMAGED' });
    }
  });

  it('with an invalid header is rejected', async () => {
    for (const header of ['[]', 'null', '{"version":2}', '{"version":1,"dimensions":-1,"model":{},"images":{}}']) {
      const prefix = Buffer.alloc(12);
      prefix.write('HDXINDEX');
      prefix.writeUInt32LE(header.length, 8);
      await writeFile(path, Buffer.concat([prefix, Buffer.from(header)]));
      const error = await readImageIndex(path).catch((thrown: unknown) => thrown);
      expect(error, header).to.be.instanceOf(ImageIndexError);
    }
  });

  it('that is missing is distinguished from an unreadable one', async () => {
    const missing = await readImageIndex(path).catch((thrown: unknown) => thrown);
    expect(missing).to.include({ code: 'NOT_FOUND' });
    const unreadable = await readImageIndex(dir).catch((thrown: unknown) => thrown);
    expect(unreadable).to.be.instanceOf(ImageIndexError);
    expect(unreadable).to.include({ code: 'UNREADABLE' });
  });
});
