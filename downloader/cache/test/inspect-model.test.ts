import { chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { inspectModel, optimizedSources } from '../src/index.js';
import { fileProblem } from '../src/model-problems.js';
import { findModel } from './support/find-model.js';
import {
  blobIdOf,
  COMMIT,
  OTHER_COMMIT,
  SENTENCE_FILES,
  sha256,
  writeRef,
  writeRepository,
} from './support/make-cache.js';
import { modelWith, plainModel, sentenceModel } from './support/models.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

const REPOSITORY = 'fixtures/bge-m3-tiny';
const WEIGHTS = 'onnx/sentence_transformers.onnx';

describe('finding a model', () => {
  const cache = useTempDir();
  const blob = (path: keyof typeof SENTENCE_FILES) =>
    join(cache(), 'models--fixtures--bge-m3-tiny', 'blobs', blobIdOf(path, SENTENCE_FILES[path]));
  const pointer = (path: string) => join(cache(), 'models--fixtures--bge-m3-tiny', 'snapshots', COMMIT, path);

  it('follows ref and pointers to every file, with sizes and hashes', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const found = await findModel(cache(), sentenceModel());
    expect(found).to.include({ role: 'text', family: 'sentence', id: REPOSITORY, revision: COMMIT, variant: 'fp32' });
    expect(found.dir).to.equal(join(cache(), 'models--fixtures--bge-m3-tiny', 'snapshots', COMMIT));
    expect(found.weights).to.deep.equal({ model: pointer(WEIGHTS) });
    const weights = found.files.find((file) => file.path === WEIGHTS);
    expect(weights).to.deep.equal({
      path: WEIGHTS,
      weights: 'model',
      absolutePath: pointer(WEIGHTS),
      blobPath: blob(WEIGHTS),
      sizeBytes: SENTENCE_FILES[WEIGHTS].length,
      expectedSizeBytes: undefined,
      hash: { type: 'sha256', value: sha256(SENTENCE_FILES[WEIGHTS]) },
      blobId: sha256(SENTENCE_FILES[WEIGHTS]),
    });
    expect(found.files.find((file) => file.path === 'config.json')?.hash?.type).to.equal('git-sha1');
  });

  it('names the missing cache directory and its variable', async () => {
    const missing = join(cache(), 'nowhere');
    const error = await cacheErrorOf(findModel(missing, sentenceModel(), { cacheDirVariable: 'HF_HOME' }));
    expect(error).to.include({ code: 'CACHE_MISSING', path: missing, variable: 'HF_HOME' });
    expect(error.message).to.include('heimdex-downloader download');
  });

  it('names role, repository, variable and command when a model is not there at all', async () => {
    const error = await cacheErrorOf(findModel(cache(), sentenceModel()));
    expect(error).to.include({
      code: 'MODEL_MISSING',
      role: 'text',
      model: REPOSITORY,
      variable: 'TEXT_MODEL_NAME',
      command: 'heimdex-downloader download',
      path: join(cache(), 'models--fixtures--bge-m3-tiny', 'refs', 'main'),
    });
  });

  it('does not take a ref for a snapshot: Python writes the ref first', async () => {
    const dir = join(cache(), 'models--fixtures--bge-m3-tiny');
    await writeRef(dir, 'main', COMMIT);
    await mkdir(join(dir, 'blobs'));
    expect((await cacheErrorOf(findModel(cache(), sentenceModel()))).code).to.equal('MODEL_MISSING');
    await mkdir(join(dir, 'snapshots', COMMIT), { recursive: true });
    const { problems } = await inspectModel(cache(), sentenceModel());
    expect(problems[0]).to.include({ code: 'FILE_MISSING', file: 'config.json' });
    expect(problems).to.have.length(4);
  });

  const targets: [string, (cacheDir: string) => Promise<string>][] = [
    ['the system', async () => '/etc/hostname'],
    [
      'a file above the cache',
      async (cacheDir) => {
        await writeFile(`${cacheDir}-secret`, 'secret');
        return `${cacheDir}-secret`;
      },
    ],
    [
      "another repository's blobs",
      async (cacheDir) => {
        const dir = await writeRepository(cacheDir, 'private/model', SENTENCE_FILES);
        return join(dir, 'blobs', blobIdOf(WEIGHTS, SENTENCE_FILES[WEIGHTS]));
      },
    ],
    [
      'the lock file',
      async (cacheDir) => {
        await writeFile(join(cacheDir, 'models.lock.json'), '{}');
        return join(cacheDir, 'models.lock.json');
      },
    ],
  ];
  for (const [what, targetIn] of targets) {
    it(`refuses a file that is a link to ${what}, in the snapshot or among the blobs`, async () => {
      await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
      const target = await targetIn(cache());
      for (const path of [blob(WEIGHTS), pointer(WEIGHTS)]) {
        await rm(path);
        await symlink(target, path);
        const error = await cacheErrorOf(findModel(cache(), sentenceModel()));
        expect(error).to.include({ code: 'PATH_UNSAFE', file: WEIGHTS, path: pointer(WEIGHTS) });
        expect(error.message).to.include(target);
      }
      await rm(`${cache()}-secret`, { force: true });
    });
  }

  it('refuses a plain file that is a link out of the cache', async () => {
    const [file] = plainModel().files;
    await symlink('/etc/hostname', join(cache(), file?.path ?? ''));
    expect((await cacheErrorOf(findModel(cache(), plainModel()))).code).to.equal('PATH_UNSAFE');
  });

  const damages: [string, string, (path: string) => Promise<unknown>][] = [
    ['FILE_MISSING', 'is gone', (path) => rm(path)],
    ['FILE_EMPTY', 'is empty', (path) => writeFile(path, '')],
    ['FILE_UNREADABLE', 'is a directory', (path) => rm(path).then(() => mkdir(path))],
  ];
  for (const [code, what, damage] of damages) {
    it(`reports ${code} when a blob ${what}`, async () => {
      await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
      await damage(blob(WEIGHTS));
      const error = await cacheErrorOf(findModel(cache(), sentenceModel()));
      expect(error).to.include({
        code,
        role: 'text',
        file: WEIGHTS,
        path: pointer(WEIGHTS),
        variable: 'TEXT_MODEL_NAME',
      });
      expect(error.message).to.include('heimdex-downloader download');
    });
  }

  it('reports FILE_UNREADABLE when another user may not read it, as files that Python writes with mode 0600', async function () {
    if (process.getuid?.() === 0) return this.skip();
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await chmod(blob(WEIGHTS), 0);
    const error = await cacheErrorOf(findModel(cache(), sentenceModel()));
    expect(error.code).to.equal('FILE_UNREADABLE');
    expect(error.message).to.not.include('heimdex-downloader');
  });

  it('does not advise to download a file that is there and that this user may not read', async () => {
    const cause = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    const { message, command } = fileProblem(
      sentenceModel(),
      { path: WEIGHTS, absolutePath: blob(WEIGHTS) },
      'FILE_UNREADABLE',
      cause.message,
      cause,
    );
    expect(message).to.include("permission denied. Let this program's user read the volume");
    expect([message.includes('heimdex-downloader'), command]).to.deep.equal([false, undefined]);
  });

  it('tells a cache directory that cannot be read from one that is not there', async () => {
    const loop = join(cache(), 'loop');
    await symlink(loop, loop);
    const error = await cacheErrorOf(findModel(loop, sentenceModel()));
    expect(error).to.include({ code: 'CACHE_UNREADABLE', path: loop, variable: 'HF_HUB_CACHE' });
    expect(error.message).to.include('ELOOP');
  });

  it('reports CACHE_UNREADABLE, and not that nothing is there, when a directory of the model is unreadable', async () => {
    const repository = join(cache(), 'models--fixtures--bge-m3-tiny');
    for (const path of [repository, join(repository, 'refs'), join(repository, 'snapshots')]) {
      await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
      // A link to itself is what nobody can look into, not even the user who may do everything.
      await rm(path, { recursive: true });
      await symlink(path, path);
      const error = await cacheErrorOf(findModel(cache(), sentenceModel()));
      expect(error, path).to.include({ code: 'CACHE_UNREADABLE', role: 'text', model: REPOSITORY });
      expect(error.message).to.include('ELOOP').and.include(repository);
      await rm(repository, { recursive: true });
    }
  });

  it('uses the second source when the first one is unreadable', async () => {
    const sources = ['a/first', 'b/second'].map(
      (repository) => ({ type: 'hf', repository, revision: 'main' }) as const,
    );
    await symlink('models--a--first', join(cache(), 'models--a--first'));
    await writeRepository(cache(), 'b/second', SENTENCE_FILES);
    expect((await findModel(cache(), { ...sentenceModel(), sources })).revision).to.equal(COMMIT);
  });

  it('reports FILE_SIZE_WRONG by the size that the manifest knows', async () => {
    await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'short' });
    const error = await cacheErrorOf(findModel(cache(), modelWith([{ path: 'm.onnx', sizeBytes: 7 }])));
    expect(error).to.include({ code: 'FILE_SIZE_WRONG', file: 'm.onnx' });
    expect(error.message).to.include('it has 5 bytes, expected 7');
  });

  it("reports FILE_SIZE_WRONG by the size in Python's list of files", async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'short' });
    await mkdir(join(dir, 'trees'));
    const entry = { size: 6, blob_id: COMMIT, lfs_sha256: sha256('short'), lfs_size: 6 };
    await writeFile(
      join(dir, 'trees', `${COMMIT}.json`),
      JSON.stringify({ format_version: 1, files: { 'm.onnx': entry } }),
    );
    expect((await cacheErrorOf(findModel(cache(), modelWith([{ path: 'm.onnx' }])))).code).to.equal('FILE_SIZE_WRONG');
  });

  it('reports FILE_HASH_WRONG when a blob by another name lies where the manifest knows the hash', async () => {
    await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'mine' });
    const error = await cacheErrorOf(findModel(cache(), modelWith([{ path: 'm.onnx', sha256: sha256('yours') }])));
    expect(error.code).to.equal('FILE_HASH_WRONG');
    expect(error.message).to.include(sha256('mine')).and.to.include(sha256('yours'));
  });

  for (const data of ['m.onnx_data', 'm.onnx_data_1', 'm.onnx.data']) {
    it(`does without an optional file, but not without external data that the repository has: ${data}`, async () => {
      const files = [{ path: 'm.onnx' }, { path: data, required: false }, { path: 'x.json', required: false }];
      const dir = await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'graph' });
      expect((await findModel(cache(), modelWith(files))).files.map((file) => file.path)).to.deep.equal(['m.onnx']);
      await mkdir(join(dir, 'trees'));
      const list = { [data]: { size: 9, blob_id: COMMIT }, 'x.json': { size: 1, blob_id: COMMIT } };
      await writeFile(join(dir, 'trees', `${COMMIT}.json`), JSON.stringify({ format_version: 1, files: list }));
      const inspection = await inspectModel(cache(), modelWith(files));
      expect(inspection.problems.map(({ code, file }) => [code, file])).to.deep.equal([['FILE_MISSING', data]]);
    });
  }

  for (const data of ['m.onnx_data', 'm.onnx.data']) {
    it(`tells the optimized models of one graph with other external weights apart: ${data}`, async () => {
      const files = [
        { path: 'm.onnx', weights: 'model' as const },
        { path: data, required: false },
      ];
      const sourcesWith = async (more: Record<string, string>) => {
        await writeRepository(cache(), REPOSITORY, more);
        return [...optimizedSources(await findModel(cache(), modelWith(files))).values()];
      };
      const [without] = await sourcesWith({ 'm.onnx': 'graph' });
      const [withData] = await sourcesWith({ [data]: 'weights' });
      expect(withData)
        .to.match(/^[0-9a-f]{64}$/)
        .and.not.equal(without);
    });
  }

  it("follows the second link into Xet's shared store, and keeps the first link's name as the identity", async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const shared = join(cache(), 'blobs', 'ab', 'some-xet-hash');
    await mkdir(join(cache(), 'blobs', 'ab'), { recursive: true });
    await rename(blob(WEIGHTS), shared);
    await symlink('../../blobs/ab/some-xet-hash', blob(WEIGHTS));
    const found = await findModel(cache(), sentenceModel());
    const weights = found.files.find((file) => file.path === WEIGHTS);
    expect(weights?.blobPath).to.equal(shared);
    expect(weights?.blobId).to.equal(sha256(SENTENCE_FILES[WEIGHTS]));
  });

  it('accepts a snapshot of plain copies, as Python writes where links are not supported', async () => {
    await writeRef(join(cache(), 'models--fixtures--bge-m3-tiny'), 'main', COMMIT);
    for (const [path, content] of Object.entries(SENTENCE_FILES)) {
      await mkdir(join(pointer(path), '..'), { recursive: true });
      await writeFile(pointer(path), content);
    }
    const found = await findModel(cache(), sentenceModel());
    expect(found.files.map((file) => file.hash)).to.deep.equal([undefined, undefined, undefined, undefined]);
  });

  it('looks in the directory of the model below the repository', async () => {
    const below = Object.fromEntries(
      Object.entries(SENTENCE_FILES).map(([path, content]) => [`sub/dir/${path}`, content]),
    );
    await writeRepository(cache(), REPOSITORY, below);
    const model = sentenceModel();
    const files = model.files.map((file) => ({ ...file, path: `sub/dir/${file.path}` }));
    const found = await findModel(cache(), { ...model, dir: 'sub/dir', files });
    expect(found.dir).to.equal(join(cache(), 'models--fixtures--bge-m3-tiny', 'snapshots', COMMIT, 'sub', 'dir'));
  });

  it('uses the second source when the first one has nothing or not all', async () => {
    const sources = ['a/first', 'b/second'].map(
      (repository) => ({ type: 'hf', repository, revision: 'main' }) as const,
    );
    const model = { ...sentenceModel(), sources };
    await writeRepository(cache(), 'a/first', { 'config.json': '{}' });
    const partly = await inspectModel(cache(), model);
    expect([partly.repository, partly.problems.length]).to.deep.equal(['a/first', 3]);
    await writeRepository(cache(), 'b/second', SENTENCE_FILES, { commit: OTHER_COMMIT });
    expect((await findModel(cache(), model)).revision).to.equal(OTHER_COMMIT);
  });

  it('finds files of an npm or url source under the name of the model', async () => {
    const model = { ...sentenceModel(), sources: [{ type: 'url', files: [] } as const] };
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    expect((await findModel(cache(), model)).revision).to.equal(COMMIT);
  });

  it('goes to the pinned commit without a ref', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES, { ref: null, commit: OTHER_COMMIT });
    const model = {
      ...sentenceModel(),
      sources: [{ type: 'hf', repository: REPOSITORY, revision: OTHER_COMMIT } as const],
    };
    expect((await findModel(cache(), model)).revision).to.equal(OTHER_COMMIT);
  });

  it('ends with the reason of its signal', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    const outcome = await inspectModel(cache(), sentenceModel(), { signal: stop.signal }).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('enough');
  });
});
