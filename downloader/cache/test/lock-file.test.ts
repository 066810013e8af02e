import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  changeLock,
  formatLock,
  type LockedModel,
  lockedModel,
  parseLock,
  readLock,
  type Source,
  withLockedModels,
  writeLock,
} from '../src/index.js';
import { COMMIT, OTHER_COMMIT, sha256 } from './support/make-cache.js';
import { sentenceModel } from './support/models.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

const MODEL: LockedModel = {
  role: 'text',
  entry: 'fixtures/bge-m3-tiny',
  variant: 'fp32',
  layout: 'snapshot',
  source: 'hf',
  repository: 'fixtures/bge-m3-tiny',
  requestedRevision: 'main',
  revision: COMMIT,
  files: [
    { path: 'onnx/m.onnx', sizeBytes: 5, sha256: sha256('graph'), blobId: sha256('graph') },
    { path: 'config.json', sizeBytes: 2, sha256: sha256('{}'), blobId: OTHER_COMMIT },
  ],
};
const PLAIN: LockedModel = {
  ...MODEL,
  role: 'faces',
  entry: 'heimdex/face-pocket',
  layout: 'plain',
  revision: sha256('face'),
  files: [{ path: 'face.onnx', sizeBytes: 4, sha256: sha256('face'), blobId: undefined }],
};

describe('lock file', () => {
  const dir = useTempDir();

  it('returns what was written, sorted', async () => {
    const path = join(dir(), 'new', 'models.lock.json');
    await writeLock(path, { models: [PLAIN, MODEL] });
    const lock = await readLock(path);
    expect(lock?.models.map(({ entry }) => entry)).to.deep.equal([MODEL.entry, PLAIN.entry]);
    expect(lock?.models[0]?.files.map((file) => file.path)).to.deep.equal(['config.json', 'onnx/m.onnx']);
    expect(lock?.models[1]).to.deep.equal(PLAIN);
  });

  it('has the same bytes for the same content in any order', () => {
    const [first, second] = MODEL.files;
    const files = [second, first].flatMap((file) => file ?? []);
    expect(formatLock({ models: [PLAIN, { ...MODEL, files }] })).to.equal(formatLock({ models: [MODEL, PLAIN] }));
  });

  it('is readable by everybody with any umask and leaves no other file', async () => {
    const path = join(dir(), 'models.lock.json');
    const umask = process.umask(0o077);
    try {
      await writeLock(path, { models: [MODEL] });
      await writeLock(path, { models: [PLAIN] });
    } finally {
      process.umask(umask);
    }
    expect(await readdir(dir())).to.deep.equal(['models.lock.json']);
    expect((await stat(path)).mode & 0o444).to.equal(0o444);
  });

  it('is not written again if nothing changes in it', async () => {
    const path = join(dir(), 'models.lock.json');
    await changeLock(path, (lock) => withLockedModels(lock, [MODEL]));
    const { ctimeNs } = await stat(path, { bigint: true });
    await changeLock(path, (lock) => withLockedModels(lock, [MODEL]));
    expect((await stat(path, { bigint: true })).ctimeNs).to.equal(ctimeNs);
  });

  it('stays as it was when it cannot be replaced', async () => {
    const path = join(dir(), 'taken');
    await mkdir(join(path, 'by-a-directory'), { recursive: true });
    const outcome = await writeLock(path, { models: [MODEL] }).catch(() => 'refused');
    expect(outcome).to.equal('refused');
    expect(await readdir(dir())).to.deep.equal(['taken']);
  });

  it('is undefined if there is none', async () => {
    expect(await readLock(join(dir(), 'none.json'))).to.equal(undefined);
  });

  it('finds a model by role, entry and variant', () => {
    const lock = { models: [PLAIN, MODEL] };
    expect(lockedModel(lock, sentenceModel())).to.equal(MODEL);
    expect(lockedModel(lock, { ...sentenceModel(), variant: 'q8' })).to.equal(undefined);
    expect(lockedModel(undefined, sentenceModel())).to.equal(undefined);
  });

  it('has no model for an entry that now names other files', () => {
    const hub = (change: object) => ({
      type: 'hf' as const,
      repository: MODEL.repository,
      revision: 'main',
      ...change,
    });
    const pinned = (hash: string) => ({
      type: 'url' as const,
      files: [{ path: 'config.json', url: 'http://localhost/config.json', sha256: hash, sizeBytes: undefined }],
    });
    const cases: [string, LockedModel, readonly Source[], boolean][] = [
      ['the same revision', MODEL, [pinned(sha256('x')), hub({})], true],
      ['another revision', MODEL, [hub({ revision: 'v2' })], false],
      ['the locked commit itself', MODEL, [hub({ revision: COMMIT })], true],
      ['another repository', MODEL, [hub({ repository: 'fixtures/other' })], false],
      ['no hub', MODEL, [pinned(sha256('{}'))], false],
      ['the same pinned bytes', { ...MODEL, source: 'url' }, [hub({ revision: 'v2' }), pinned(sha256('{}'))], true],
      ['other pinned bytes', { ...MODEL, source: 'url' }, [hub({}), pinned(sha256('x'))], false],
    ];
    for (const [what, locked, sources, holds] of cases) {
      const found = lockedModel({ models: [locked] }, { ...sentenceModel(), sources });
      expect(found, what).to.equal(holds ? locked : undefined);
    }
    expect(lockedModel({ models: [MODEL] }, { ...sentenceModel(), layout: 'plain' })).to.equal(undefined);
  });

  it('replaces a model and keeps the others', () => {
    const moved = { ...MODEL, revision: OTHER_COMMIT };
    const lock = withLockedModels({ models: [MODEL, PLAIN] }, [moved]);
    expect(lock.models).to.deep.equal([moved, PLAIN]);
  });

  const mistakes: [string, (text: string) => string, RegExp][] = [
    ['no JSON', () => 'models:', /JSON/],
    ['a later format', (text) => text.replace('"formatVersion": 1', '"formatVersion": 2'), /formatVersion must be 1/],
    ['a short commit', (text) => text.replace(COMMIT, 'abc'), /revision must be a commit of 40 digits/],
    ['a plain file at a commit', (text) => text.replace('"snapshot"', '"plain"'), /revision must be 64 hexadecimal/],
    ['a path that leads out', (text) => text.replace('config.json', '../../x'), /path must be a path inside/],
    ['an invalid hash', (text) => text.replace(sha256('{}'), 'abc'), /sha256 must be 64/],
    [
      'an invalid size',
      (text) => text.replace('"sizeBytes": 2', '"sizeBytes": -2'),
      /sizeBytes must be a whole number/,
    ],
  ];
  for (const [what, change, message] of mistakes) {
    it(`refuses ${what}, with the position and the remedy`, async () => {
      const text = change(formatLock({ models: [MODEL] }));
      const error = await cacheErrorOf(() => parseLock(text, '/v/models.lock.json'));
      expect(error).to.include({ code: 'LOCK_INVALID', path: '/v/models.lock.json' });
      expect(error.message).to.match(message).and.to.include('heimdex-downloader download');
    });
  }

  it('tells a lock file that cannot be read from one that is not there', async () => {
    await mkdir(join(dir(), 'directory.json'));
    expect((await cacheErrorOf(readLock(join(dir(), 'directory.json')))).code).to.equal('FILE_UNREADABLE');
  });

  it('does not wait for a named pipe in its place', async () => {
    const pipe = join(dir(), 'pipe.json');
    execFileSync('mkfifo', [pipe]);
    expect((await cacheErrorOf(readLock(pipe))).code).to.equal('LOCK_INVALID');
  });

  it('has the documented text: docs/volume.md', async () => {
    const page = await readFile(new URL('../../../../docs/volume.md', import.meta.url), 'utf8');
    const example = /## The lock file[\s\S]*?```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    expect(formatLock(parseLock(example, 'volume.md'))).to.equal(example);
  });
});
