import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { scanCache } from '../src/index.js';
import { COMMIT, SENTENCE_FILES, sha256, share, writeRef, writeRepository } from './support/make-cache.js';
import { useTempDir } from './support/temp-dir.js';

const REPOSITORY = 'fixtures/bge-m3-tiny';

describe('the contents of a cache', () => {
  const cache = useTempDir();

  it('lists repositories, refs, snapshots, blobs, partial and plain files, with sizes', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeRef(dir, 'refs/pr/1', COMMIT);
    await writeFile(join(dir, 'blobs', `${sha256('x')}.1a2b3c4d.incomplete`), '12345');
    await writeFile(join(cache(), 'face.onnx'), '1234567');
    await writeFile(join(cache(), 'CACHEDIR.TAG'), 'tag');
    await writeFile(join(cache(), 'models.lock.json'), '{}');
    const contents = await scanCache(cache());
    const [repository] = contents.repositories;
    expect(repository?.repository).to.equal(REPOSITORY);
    expect(repository?.refs.map(({ name, commit }) => [name, commit])).to.deep.equal([
      ['main', COMMIT],
      ['refs/pr/1', COMMIT],
    ]);
    expect(repository?.snapshots.map(({ commit, files }) => [commit, files.length])).to.deep.equal([[COMMIT, 4]]);
    expect(repository?.blobs).to.have.length(4);
    expect(repository?.partials.map(({ sizeBytes }) => sizeBytes)).to.deep.equal([5]);
    expect(contents.plainFiles.map(({ name }) => name)).to.deep.equal(['face.onnx']);
    const bytes = Object.values(SENTENCE_FILES).reduce((sum, content) => sum + content.length, 0);
    expect(contents.sizeBytes).to.equal(bytes + 5 + 7);
  });

  it('counts bytes in the shared store once', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'graph' });
    await share(cache(), join(dir, 'blobs', sha256('graph')));
    const contents = await scanCache(cache());
    expect(contents.sizeBytes).to.equal(5);
    expect(contents.repositories[0]?.sizeBytes).to.equal(5);
    expect(contents.sharedBlobs).to.have.length(1);
  });

  it('is empty without a cache', async () => {
    expect((await scanCache(join(cache(), 'none'))).repositories).to.deep.equal([]);
  });
});
