import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import type { LockedModel, ModelsLock } from '../src/index.js';
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
import { modelWith, sentenceModel } from './support/models.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

const REPOSITORY = 'fixtures/bge-m3-tiny';

describe('finding a model with a lock file', () => {
  const cache = useTempDir();

  const lockOf = (change: Partial<LockedModel> = {}): ModelsLock => ({
    models: [
      {
        role: 'text',
        entry: REPOSITORY,
        variant: 'fp32',
        layout: 'snapshot',
        repository: REPOSITORY,
        source: 'hf',
        requestedRevision: 'main',
        revision: COMMIT,
        files: Object.entries(SENTENCE_FILES).map(([path, content]) => ({
          path,
          sizeBytes: content.length,
          sha256: sha256(content),
          blobId: blobIdOf(path, content),
        })),
        ...change,
      },
    ],
  });

  it('uses the locked commit although the branch has moved', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeRef(dir, 'main', OTHER_COMMIT);
    expect((await findModel(cache(), sentenceModel(), { lock: lockOf() })).revision).to.equal(COMMIT);
  });

  it('names the locked commit if another one is present', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES, { commit: OTHER_COMMIT });
    const error = await cacheErrorOf(findModel(cache(), sentenceModel(), { lock: lockOf() }));
    expect(error.code).to.equal('MODEL_MISSING');
    expect(error.message).to.include(`at ${COMMIT}, as the lock file requires`);
  });

  it('expects the locked sizes and sha256, for regular files too', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    const found = await findModel(cache(), sentenceModel(), { lock: lockOf() });
    const config = found.files.find((file) => file.path === 'config.json');
    expect(config?.hash).to.deep.equal({ type: 'sha256', value: sha256(SENTENCE_FILES['config.json']) });
    expect(config?.expectedSizeBytes).to.equal(SENTENCE_FILES['config.json'].length);
  });

  it('finds a truncated regular file, which nothing else knows the size of', async () => {
    const dir = await writeRepository(cache(), REPOSITORY, SENTENCE_FILES);
    await writeFile(join(dir, 'blobs', blobIdOf('config.json', SENTENCE_FILES['config.json'])), '{');
    expect((await cacheErrorOf(findModel(cache(), sentenceModel(), { lock: lockOf() }))).code).to.equal(
      'FILE_SIZE_WRONG',
    );
  });

  it('misses an optional file that was locked', async () => {
    const files = [{ path: 'x.json', sizeBytes: 1, sha256: sha256('x'), blobId: undefined }];
    await writeRepository(cache(), REPOSITORY, { 'm.onnx': 'graph' });
    const model = modelWith([{ path: 'm.onnx' }, { path: 'x.json', required: false }]);
    const error = await cacheErrorOf(findModel(cache(), model, { lock: lockOf({ files }) }));
    expect(error).to.include({ code: 'FILE_MISSING', file: 'x.json' });
  });

  it('passes over the lock of another variant', async () => {
    await writeRepository(cache(), REPOSITORY, SENTENCE_FILES, { commit: OTHER_COMMIT });
    const lock = lockOf({ variant: 'q8' });
    expect((await findModel(cache(), sentenceModel(), { lock })).revision).to.equal(OTHER_COMMIT);
  });
});
