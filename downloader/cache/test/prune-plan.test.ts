import { lstat, mkdir, readdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect } from 'chai';
import {
  COMPILED_MANIFEST_NAME,
  COMPILING_PREFIX,
  type ConfiguredModel,
  compiledKeyName,
  compiledRepositoryPath,
  formatCompiledManifest,
  inspectModel,
  loadManifest,
  type ModelsLock,
  optimizedDir,
  optimizedSources,
  planPrune,
  resolveModel,
  scanCache,
  scanCompiled,
  scanOptimized,
} from '../src/index.js';
import { findModel } from './support/find-model.js';
import { COMMIT, OTHER_COMMIT, SENTENCE_FILES, sha256, share, writeRepository } from './support/make-cache.js';
import { plainModel, sentenceModel } from './support/models.js';
import { useTempDir } from './support/temp-dir.js';

const REPOSITORY = 'fixtures/bge-m3-tiny';
const LATER_MS = Date.parse('2100-01-01');

describe('planning a prune', () => {
  const cache = useTempDir();
  /** Repositories that this program downloaded. */
  let downloaded: readonly string[];
  let named: readonly string[];
  beforeEach(() => {
    downloaded = [REPOSITORY, 'some/other', 'heimdex/face-pocket'];
    named = [];
  });
  const plan = async (models: readonly ConfiguredModel[], nowMs = LATER_MS) => {
    const inspections = await Promise.all(models.map((model) => inspectModel(cache(), model)));
    const prepared = await scanOptimized(cache());
    const compiled = await scanCompiled(cache());
    const options = { nowMs, lock: lockOf(downloaded), named, prepared, compiled };
    return planPrune(await scanCache(cache()), inspections, loadManifest(), options);
  };
  const shown = async (models: readonly ConfiguredModel[]) =>
    (await plan(models)).steps.map(({ path, reason }) => `${relative(cache(), path)}: ${reason}`);

  it('removes nothing from a cache with only configured models', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeFile(join(cache(), 'face_detection_pocket.onnx'), 'face');
    expect(await plan([sentenceModel(), plainModel()])).to.deep.equal({ steps: [], freedBytes: 0, kept: [] });
  });

  it('removes optimized models of what no configured model has, once every one of those is there', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const model = await findModel(cache(), sentenceModel());
    const [used = ''] = optimizedSources(model).values();
    const unused = 'f'.repeat(64);
    for (const source of [used, unused]) {
      const form = join(optimizedDir(cache()), source, 'key');
      await mkdir(form, { recursive: true });
      await writeFile(join(form, 'model.data'), '12345');
    }
    expect(await shown([sentenceModel(), plainModel()])).to.deep.equal([]);
    expect((await plan([sentenceModel()])).steps).to.deep.equal([
      {
        path: join(optimizedDir(cache()), unused),
        kind: 'directory',
        reason: 'optimized model of a model that is not configured',
        freedBytes: 5,
      },
    ]);
  });

  it('removes repositories and known plain files that no model uses, and leaves what it does not know', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const other = await writeRepository(cache(), 'some/other', { 'm.onnx': '123', 'config.json': '12' });
    await rename(other, join(cache(), 'models--some--other'));
    await mkdir(join(cache(), 'datasets--a--b', 'snapshots'), { recursive: true });
    await writeFile(join(cache(), 'face_detection_pocket.onnx'), 'face');
    await writeFile(join(cache(), 'mine.txt'), 'mine');
    expect(await shown([sentenceModel()])).to.deep.equal([
      'models--some--other: repository not configured',
      'face_detection_pocket.onnx: plain file not configured',
    ]);
    expect((await plan([sentenceModel()])).freedBytes).to.equal(9);
  });

  it('removes earlier commits with their refs and lists, files of other variants, and blobs nobody points at', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, 'onnx/m.onnx': 'other' });
    await writeRepository(
      cache(),
      REPOSITORY,
      { ...SENTENCE_FILES, 'config.json': 'old' },
      { commit: OTHER_COMMIT, ref: 'v1' },
    );
    await writeFile(join(dir, 'blobs', sha256('orphan')), 'orphan');
    const steps = await shown([sentenceModel()]);
    const below = 'models--fixtures--bge-m3-tiny';
    expect(steps.slice(0, 5)).to.deep.equal([
      `${below}/refs/v1: commit not configured`,
      `${below}/snapshots/${COMMIT}/onnx/m.onnx: file not configured`,
      `${below}/snapshots/${OTHER_COMMIT}: commit not configured`,
      `${below}/trees/${OTHER_COMMIT}.json: commit not configured`,
      `${below}/.no_exist/${OTHER_COMMIT}: commit not configured`,
    ]);
    expect(steps.slice(5).every((step) => step.endsWith('blob without a file'))).to.equal(true);
    const { steps: planned, freedBytes } = await plan([sentenceModel()]);
    expect(planned.slice(0, 5).map(({ kind }) => kind)).to.deep.equal([
      'file',
      'file',
      'directory',
      'file',
      'directory',
    ]);
    expect(freedBytes).to.equal('other'.length + 'old'.length + 'orphan'.length);
  });

  it('leaves files of a model that this program never fetches: another one has added them', async () => {
    const added = {
      'README.md': 'read',
      'processor_config.json': '{"feature_extractor":{}}',
      'onnx/other.onnx': 'other',
    };
    await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, ...added, 'onnx/m.onnx': 'm' });
    const below = `models--fixtures--bge-m3-tiny/`;
    expect(await shown([sentenceModel()])).to.deep.equal([
      `${below}snapshots/${COMMIT}/onnx/m.onnx: file not configured`,
      `${below}blobs/${sha256('m')}: blob without a file`,
    ]);
    named = [REPOSITORY];
    expect(await shown([sentenceModel()])).to.have.length(8);
  });

  it('leaves a whole model whole, and no dead link', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, 'onnx/m.onnx': 'other' });
    await share(cache(), join(dir, 'blobs', sha256('other')));
    await writeRepository(cache(), REPOSITORY, { 'config.json': 'old' }, { commit: OTHER_COMMIT, ref: 'v1' });
    for (const { path, kind } of (await plan([sentenceModel()])).steps) {
      if (kind === 'directory') await rm(path, { recursive: true, force: true });
      else await rm(path, { force: true });
    }
    expect((await findModel(cache(), sentenceModel())).files).to.have.length(4);
    const after = await scanCache(cache());
    expect(after.repositories[0]?.blobs).to.have.length(4);
    expect(after.sharedBlobs).to.deep.equal([]);
    expect((await plan([sentenceModel()])).steps).to.deep.equal([]);
  });

  it('keeps everything of a model that was not found: it may be half downloaded', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, { 'config.json': '{}' });
    await writeFile(join(dir, 'blobs', `${sha256('x')}.1a2b3c4d.incomplete`), 'half');
    await writeFile(join(dir, 'blobs', sha256('orphan')), 'orphan');
    expect(await shown([sentenceModel()])).to.deep.equal([]);
  });

  it('keeps two models of one repository, each with its files', async () => {
    await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, 'onnx/other.onnx': 'other' });
    const model = sentenceModel();
    const other = {
      ...model,
      variant: 'q8',
      files: model.files.map((file) => ({ ...file, path: file.path.replace('sentence_transformers', 'other') })),
    };
    expect(await shown([model, other])).to.deep.equal([]);
  });

  it('removes what old downloads left, but not what was written a moment ago', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const partial = join(dir, 'blobs', `${sha256('x')}.1a2b3c4d.incomplete`);
    await writeFile(partial, 'half');
    await utimes(partial, new Date(), new Date('2020-01-01'));
    // What is dated in the future was written while a clock was wrong.
    for (const now of ['2020-01-01T02:00', '2019-12-31T22:00'])
      expect((await plan([sentenceModel()], Date.parse(`${now}Z`))).steps).to.deep.equal([
        { path: partial, kind: 'file', reason: 'left by a download', freedBytes: 4 },
      ]);
    for (const now of ['2020-01-01T00:50', '2019-12-31T23:50'])
      expect((await plan([sentenceModel()], Date.parse(`${now}Z`))).steps).to.deep.equal([]);
  });

  it('leaves a blob that nothing points at yet when it has just come, as in an update under way', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeFile(join(dir, 'blobs', sha256('next')), 'next');
    expect((await plan([sentenceModel()], Date.now())).steps).to.deep.equal([]);
    expect((await plan([sentenceModel()], LATER_MS)).freedBytes).to.equal(4);
  });

  it('removes what a download of a plain file left in the root once the file is there, with its journal', async () => {
    const name = 'face_detection_pocket.onnx.1a2b3c4d.incomplete';
    await writeFile(join(cache(), name), 'half');
    await writeFile(join(cache(), `${name}.journal`), 'note');
    expect(await shown([plainModel()])).to.deep.equal([]);
    await writeFile(join(cache(), 'face_detection_pocket.onnx'), 'face');
    expect(await shown([plainModel()])).to.deep.equal([
      `${name}: left by a download`,
      `${name}.journal: left by a download`,
    ]);
  });

  it("removes what a download of OpenAI's checkpoint left once no configured model waits for it", async () => {
    const name = 'tiny.pt.1a2b3c4d.incomplete';
    await mkdir(join(cache(), 'whisper'));
    for (const file of [name, `${name}.journal`, 'tiny.pt', 'notes.tmp'])
      await writeFile(join(cache(), 'whisper', file), 'half');
    expect(await shown([resolveModel(loadManifest(), 'speech', 'tiny')])).to.deep.equal([]);
    expect(await shown([])).to.deep.equal([
      `whisper/${name}: left by a download`,
      `whisper/${name}.journal: left by a download`,
    ]);
  });

  it('counts shared bytes as freed only with the last repository that uses them', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const other = await writeRepository(cache(), 'some/other', {
      'm.onnx': SENTENCE_FILES['onnx/sentence_transformers.onnx'],
    });
    const name = sha256(SENTENCE_FILES['onnx/sentence_transformers.onnx']);
    const shared = await share(cache(), join(dir, 'blobs', name));
    await unlink(join(other, 'blobs', name));
    await symlink(relative(join(other, 'blobs'), shared), join(other, 'blobs', name));
    expect((await plan([sentenceModel()])).freedBytes).to.equal(0);
    const all = await plan([]);
    expect(all.steps.map(({ path }) => path)).to.include(shared);
    expect(all.freedBytes).to.equal((await scanCache(cache())).sizeBytes);
  });

  it('leaves files of other programs, configured or not, reports it, and removes them when named', async () => {
    downloaded = [];
    const dir = await writeRepository(cache(), REPOSITORY, { ...SENTENCE_FILES, 'pytorch_model.bin': 'weights' });
    await writeFile(join(dir, 'blobs', sha256('orphan')), 'orphan');
    await writeFile(join(dir, 'blobs', `${sha256('x')}.1a2b3c4d.incomplete`), 'half');
    await writeRepository(cache(), 'some/other', { 'model.safetensors': '12345' });
    await mkdir(join(cache(), 'whisper'));
    await writeFile(join(cache(), 'whisper', 'medium.pt'), 'weights');
    await mkdir(join(cache(), 'blobs', 'ab'), { recursive: true });
    await writeFile(join(cache(), 'blobs', 'ab', 'xet-hash'), 'shared');
    await writeFile(join(cache(), 'face_detection_yunet_2023mar.onnx'), 'face');
    expect(await plan([sentenceModel()])).to.deep.equal({
      steps: [],
      freedBytes: 0,
      kept: [
        { name: 'some/other', sizeBytes: 5 },
        { name: 'face_detection_yunet_2023mar.onnx', sizeBytes: 4 },
      ],
    });
    named = ['some/other'];
    expect(await shown([sentenceModel()])).to.deep.equal(['models--some--other: repository not configured']);
    named = [REPOSITORY];
    expect((await shown([sentenceModel()]))[0]).to.include('pytorch_model.bin: file not configured');
  });

  it('leaves a model that was found on the volume, though the lock file has it', async () => {
    await writeRepository(cache(), 'some/other', { 'm.onnx': '123' });
    const lock = lockOf(['some/other']);
    const options = {
      nowMs: LATER_MS,
      lock: { models: lock.models.map((one) => ({ ...one, found: true })) },
    };
    expect(planPrune(await scanCache(cache()), [], loadManifest(), options).steps).to.deep.equal([]);
  });

  it('removes compiled models of what is not configured, and what a killed compile left', async () => {
    const dir = compiledRepositoryPath(cache(), 'some/other');
    const key = { compiler: 1, precision: 'int8', overflowSafe: true, sources: [] };
    const whole = join(dir, compiledKeyName(key));
    const half = join(dir, `${COMPILING_PREFIX}0a0b`);
    for (const path of [whole, half]) {
      await mkdir(path, { recursive: true });
      await writeFile(join(path, 'model.onnx'), '12345');
    }
    const manifest = { ...key, repository: 'some/other', commit: COMMIT, modelType: 'bert', graphs: [] };
    await writeFile(join(whole, COMPILED_MANIFEST_NAME), formatCompiledManifest(manifest));
    expect((await plan([])).steps.map(({ path, reason }) => [path, reason])).to.have.deep.members([
      [whole, 'compiled for a model that is not configured'],
      [half, 'left by a compile that was killed'],
    ]);
    expect((await plan([], Date.now())).steps.map(({ path }) => path)).to.deep.equal([whole]);
  });

  it('keeps the repository that a plain file is used from', async () => {
    await writeRepository(cache(), 'heimdex/face-pocket', { 'face_detection_pocket.onnx': 'face' });
    expect(await shown([plainModel()])).to.deep.equal([]);
    expect((await lstat(join(cache(), 'models--heimdex--face-pocket'))).isDirectory()).to.equal(true);
    expect(await readdir(cache())).to.deep.equal(['models--heimdex--face-pocket']);
  });

  it('keeps the repository that a plain file is used from although it is configured from an address', async () => {
    await writeRepository(cache(), 'heimdex/face-pocket', { 'face_detection_pocket.onnx': 'face' });
    expect(await shown([{ ...plainModel(), sources: [{ type: 'url', files: [] }] }])).to.deep.equal([]);
  });
});

/** The lock file of a program that downloaded these, and the plain files of the pocket model. */
function lockOf(repositories: readonly string[]): ModelsLock {
  return {
    models: repositories.map((repository) => {
      const isPlain = repository === 'heimdex/face-pocket';
      const path = isPlain ? 'face_detection_pocket.onnx' : 'onnx/m.onnx';
      return {
        role: isPlain ? 'faces' : 'text',
        entry: repository,
        variant: 'fp32',
        layout: isPlain ? 'plain' : 'snapshot',
        repository,
        source: 'hf',
        requestedRevision: 'main',
        revision: isPlain ? sha256('face') : COMMIT,
        files: [{ path, sizeBytes: 1, sha256: sha256('x'), blobId: undefined }],
      };
    }),
  };
}
