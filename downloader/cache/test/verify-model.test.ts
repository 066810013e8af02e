import { readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type FoundModel,
  hashFile,
  readVerifications,
  verificationsPath,
  verifyModel,
  verifyModels,
  writeVerifications,
} from '../src/index.js';
import { findModel } from './support/find-model.js';
import { SENTENCE_FILES, sha256, writeRepository } from './support/make-cache.js';
import { sentenceModel } from './support/models.js';
import { useTempDir } from './support/temp-dir.js';

const WEIGHTS = 'onnx/sentence_transformers.onnx';

describe('verifying a model', () => {
  const cache = useTempDir();
  const found = async (): Promise<FoundModel> => {
    await writeRepository(cache(), 'fixtures/bge-m3-tiny', SENTENCE_FILES);
    return findModel(cache(), sentenceModel());
  };
  const flip = async (model: FoundModel, path: string) => {
    const file = model.files.find((candidate) => candidate.path === path);
    const bytes = await readFile(file?.blobPath ?? '');
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await writeFile(file?.blobPath ?? '', bytes);
    return file?.blobPath ?? '';
  };
  const totalBytes = Object.values(SENTENCE_FILES).reduce((sum, content) => sum + content.length, 0);

  it('reads every byte of a whole model and finds nothing', async () => {
    const seen: string[] = [];
    const result = await verifyModel(await found(), { level: 'full', onFile: (file) => seen.push(file.path) });
    expect([result.problems, result.unhashed, result.unread]).to.deep.equal([[], [], []]);
    expect([result.fileCount, result.bytesRead]).to.deep.equal([4, totalBytes]);
    expect(seen.sort()).to.deep.equal(Object.keys(SENTENCE_FILES).sort());
  });

  for (const path of [WEIGHTS, 'config.json']) {
    it(`finds one turned bit in ${path}, with both hashes`, async () => {
      const model = await found();
      await flip(model, path);
      const { problems } = await verifyModel(model, { level: 'full' });
      expect(problems.map(({ code, file }) => [code, file])).to.deep.equal([['FILE_HASH_WRONG', path]]);
      const expected = model.files.find((file) => file.path === path)?.hash?.value;
      expect(problems[0]?.message)
        .to.include(`expected ${expected}`)
        .and.include('heimdex-downloader download --check');
    });
  }

  it('tells a file that cannot be read from one that is gone', async () => {
    const model = await found();
    const path = model.files.find((file) => file.path === 'config.json')?.absolutePath ?? '';
    const codes = async () => (await verifyModel(model, { level: 'quick' })).problems.map(({ code }) => code);
    await rm(path);
    expect(await codes()).to.deep.equal(['FILE_MISSING']);
    await symlink(path, path);
    expect(await codes()).to.deep.equal(['FILE_UNREADABLE']);
  });

  it('reads no byte in a quick look, and so does not see the bit', async () => {
    const model = await found();
    await flip(model, WEIGHTS);
    const { problems, bytesRead } = await verifyModel(model, { level: 'quick' });
    expect([problems, bytesRead]).to.deep.equal([[], 0]);
  });

  it('reads a file again in a quick look when it changed after it was verified', async () => {
    const model = await found();
    const cacheDir = cache();
    const first = await verifyModel(model, { level: 'full', cacheDir });
    await writeVerifications(cacheDir, first.verifications);
    const unchanged = await verifyModel(model, {
      level: 'quick',
      cacheDir,
      verifications: await readVerifications(cacheDir),
    });
    expect([unchanged.problems, unchanged.bytesRead]).to.deep.equal([[], 0]);

    const damaged = await flip(model, WEIGHTS);
    await utimes(damaged, new Date(), new Date('2030-01-01'));
    const changed = await verifyModel(model, {
      level: 'quick',
      cacheDir,
      verifications: await readVerifications(cacheDir),
    });
    expect(changed.problems.map(({ code }) => code)).to.deep.equal(['FILE_HASH_WRONG']);
    expect(changed.bytesRead).to.equal((await stat(damaged)).size);
  });

  it('verifies a file again when only its time changed, as after a copy of the volume', async () => {
    const model = await found();
    const cacheDir = cache();
    await writeVerifications(cacheDir, (await verifyModel(model, { level: 'full', cacheDir })).verifications);
    const blobPath = model.files.find((file) => file.path === WEIGHTS)?.blobPath ?? '';
    await utimes(blobPath, new Date(), new Date('2030-01-01'));
    const again = await verifyModel(model, {
      level: 'quick',
      cacheDir,
      verifications: await readVerifications(cacheDir),
    });
    expect(again.problems).to.deep.equal([]);
    expect([...again.verifications.values()].map(({ mtimeMs }) => mtimeMs)).to.deep.equal([Date.parse('2030-01-01')]);
  });

  it('reports a file that went away since it was found', async () => {
    const model = await found();
    await rm(model.files[0]?.blobPath ?? '');
    const { problems } = await verifyModel(model, { level: 'quick' });
    expect(problems.map(({ code }) => code)).to.deep.equal(['FILE_MISSING']);
  });

  it('names files without a known hash', async () => {
    const model = await found();
    const files = model.files.map((file) => ({ ...file, hash: undefined, blobId: undefined }));
    const result = await verifyModel({ ...model, files }, { level: 'full' });
    expect(result.unhashed).to.have.length(4);
    expect(result.bytesRead).to.equal(0);
    await rm(files[0]?.blobPath ?? '');
    const { unhashed, problems } = await verifyModel({ ...model, files }, { level: 'full' });
    expect([unhashed.length, problems.map(({ code }) => code)]).to.deep.equal([3, ['FILE_MISSING']]);
  });

  it('reads a file that two models share once, and tells both', async () => {
    const model = await found();
    await flip(model, WEIGHTS);
    let checked = 0;
    const results = await verifyModels([model, model], { level: 'full', onFile: () => (checked += 1) });
    expect(checked).to.equal(4);
    expect(results.map(({ problems }) => problems.length)).to.deep.equal([1, 1]);
  });

  it('returns the same results with threads as without', async () => {
    const large = { ...SENTENCE_FILES, [WEIGHTS]: Buffer.alloc(33 * 1024 * 1024, 7) };
    await writeRepository(cache(), 'fixtures/bge-m3-tiny', large);
    const model = await findModel(cache(), sentenceModel());
    expect((await verifyModel(model, { level: 'full' })).problems).to.deep.equal([]);
    await flip(model, WEIGHTS);
    const { problems } = await verifyModel(model, { level: 'full' });
    expect(problems.map(({ code, file }) => [code, file])).to.deep.equal([['FILE_HASH_WRONG', WEIGHTS]]);
  });

  it('ends with the reason of its signal, also in the middle of a large file', async () => {
    await writeRepository(cache(), 'fixtures/bge-m3-tiny', {
      ...SENTENCE_FILES,
      [WEIGHTS]: Buffer.alloc(64 * 1024 * 1024),
    });
    const model = await findModel(cache(), sentenceModel());
    const stop = new AbortController();
    const running = verifyModel(model, {
      level: 'full',
      signal: stop.signal,
      onFile: () => stop.abort(new Error('enough')),
    });
    expect(await running.catch((error: Error) => error.message)).to.equal('enough');
  });
});

describe('hashing', () => {
  const dir = useTempDir();

  it("returns sha256 and git's sha1 of a blob", async () => {
    const path = join(dir(), 'file');
    await writeFile(path, 'hello\n');
    expect(await hashFile('git-sha1', path)).to.equal('ce013625030ba8dba906f756967f9e9ca394464a');
    expect(await hashFile('sha256', path)).to.equal(sha256('hello\n'));
  });

  it('hashes an empty file', async () => {
    await writeFile(join(dir(), 'empty'), '');
    expect(await hashFile('git-sha1', join(dir(), 'empty'))).to.equal('e69de29bb2d1d6434b8b29ae775ad8c2e48c5391');
  });

  it('says which file cannot be read', async () => {
    const error = await hashFile('sha256', dir()).catch((reason: unknown) => reason);
    expect(error).to.include({ code: 'EISDIR', syscall: 'read', path: dir() });
  });
});

describe('recorded verifications', () => {
  const cache = useTempDir();
  const verification = { sizeBytes: 1, mtimeMs: 1.5, hash: { type: 'sha256', value: 'a'.repeat(64) } } as const;

  it('are added to those of earlier runs', async () => {
    await writeVerifications(cache(), new Map([['a', verification]]));
    await writeVerifications(cache(), new Map([['b', verification]]));
    expect([...(await readVerifications(cache()))]).to.deep.equal([
      ['a', verification],
      ['b', verification],
    ]);
  });

  it('are none if the file is broken', async () => {
    await writeVerifications(cache(), new Map([['a', verification]]));
    await writeFile(verificationsPath(cache()), '{"formatVersion":1,"files":{"a":{}}}');
    expect((await readVerifications(cache())).size).to.equal(0);
  });
});
