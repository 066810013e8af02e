import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import {
  compilableOf,
  loadManifest,
  optimizedDir,
  planPrune,
  scanCache,
  scanOptimized,
  whisperFiles,
} from '../src/index.js';
import {
  COMMIT,
  OTHER_COMMIT,
  SENTENCE_FILES,
  sha256,
  share,
  writeRef,
  writeRepository,
} from './support/make-cache.js';
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

  it('counts files of a snapshot that are no links, as huggingface_hub does', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'graph', 'config.json': '{}' });
    await rm(join(dir, 'snapshots', COMMIT, 'm.onnx'));
    await rename(join(dir, 'blobs', sha256('graph')), join(dir, 'snapshots', COMMIT, 'm.onnx'));
    const contents = await scanCache(cache());
    expect(contents.sizeBytes).to.equal(7);
    const [repository] = contents.repositories;
    expect(repository?.sizeBytes).to.equal(7);
    expect(repository?.lastUsedMs).to.be.a('number');
    const options = { nowMs: Date.now(), lock: undefined, named: [REPOSITORY] };
    const { steps } = planPrune(contents, [], loadManifest(), options);
    expect(steps.map(({ freedBytes }) => freedBytes)).to.deep.equal([7]);
  });

  it('counts compiled and optimized models and OpenAI files in its size', async () => {
    for (const path of ['.compiled/models--a--b/key/model.onnx', '.prepared/source/form/graph', 'whisper/base.pt']) {
      await mkdir(dirname(join(cache(), path)), { recursive: true });
      await writeFile(join(cache(), path), '12345');
    }
    expect((await scanCache(cache())).sizeBytes).to.equal(15);
  });

  it('lists a repository whose directory is a link', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await rename(dir, join(cache(), 'elsewhere'));
    await symlink('elsewhere', dir);
    await symlink('nowhere', join(cache(), 'models--a--dead'));
    const { repositories } = await scanCache(cache());
    expect(repositories.map(({ repository, isLink, blobs }) => [repository, isLink, blobs.length])).to.deep.equal([
      [REPOSITORY, true, 4],
    ]);
  });

  it('has temporary pointers and refs among the partial files', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const temporary = '.1a2b3c4d.heimdex.tmp';
    await symlink('../../blobs/x', join(dir, 'snapshots', COMMIT, temporary));
    await writeFile(join(dir, 'refs', temporary), COMMIT);
    const [repository] = (await scanCache(cache())).repositories;
    expect(repository?.refs.map(({ name }) => name)).to.deep.equal(['main']);
    expect(repository?.partials.map(({ name }) => name)).to.deep.equal([temporary, temporary]);
  });

  it('is scanned without what is removed meanwhile', async function () {
    // The entry of this directory through which it was listed is gone afterwards.
    const changing = '/proc/self/fd';
    if (!existsSync(changing)) this.skip();
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await symlink(changing, join(dir, 'snapshots', OTHER_COMMIT));
    const optimized = join(optimizedDir(cache()), sha256('graph'));
    await mkdir(optimized, { recursive: true });
    await symlink(changing, join(optimized, sha256('form').slice(0, 32)));
    const [repository] = (await scanCache(cache())).repositories;
    expect(repository?.snapshots.map(({ commit }) => commit)).to.deep.equal([COMMIT, OTHER_COMMIT]);
    expect((await scanOptimized(cache())).map(({ forms }) => forms.length)).to.deep.equal([1]);
  });

  it('are not waited for where a named pipe is in the place of config.json', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { 'model.safetensors': 'weights' });
    execFileSync('mkfifo', [join(dir, 'snapshots', COMMIT, 'config.json')]);
    const [repository] = (await scanCache(cache())).repositories;
    expect(repository && (await compilableOf(repository))).to.equal(undefined);
  });

  it("lists OpenAI's files, without dead links", async () => {
    await mkdir(join(cache(), 'whisper'));
    await writeFile(join(cache(), 'whisper', 'base.pt'), '12345');
    await symlink('gone.pt', join(cache(), 'whisper', 'tiny.pt'));
    expect(await whisperFiles(cache())).to.deep.equal([
      { path: 'whisper/base.pt', sizeBytes: 5, modelType: 'whisper' },
    ]);
  });

  it('is empty without a cache', async () => {
    expect((await scanCache(join(cache(), 'none'))).repositories).to.deep.equal([]);
  });
});
