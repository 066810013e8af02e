import { cp, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { optimizedDir } from '@heimdex/cache';
import { expect } from 'chai';
import { NOT_OPTIMIZED, NOT_RECORDED } from '../../src/models/session/optimized/use.js';
import { runHere } from '../fixtures/server-process.js';
import { copyVolume, DEMO_MODELS, makeVolume, type Volume } from '../fixtures/volume.js';
import { inRepository } from '../support/paths.js';
import { answers, expectSameBits, formDirs, MAKE, prepare, SIGLIP, TEXTS, VISION_ONLY } from './forms.js';

/** Every file and directory below a directory. */
async function listing(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.map((entry) => `${entry.parentPath}/${entry.name}`).sort();
}

const bareVolume = () => makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });

describe('optimized models', () => {
  /** Prepared once; each test changes a copy. */
  let original: Volume;
  let messages: readonly string[];
  let volume: Volume;
  before(async () => {
    original = await bareVolume();
    messages = await prepare(original, VISION_ONLY);
  });
  after(() => original.remove());
  beforeEach(async () => {
    volume = await copyVolume(original);
  });
  afterEach(() => volume.remove());

  it('are created once', async () => {
    expect(messages).to.deep.equal(['Prepared', 'Prepared']);
    const before = await listing(volume.cacheDir);
    expect(await prepare(volume, VISION_ONLY)).to.deep.equal(['Already prepared', 'Already prepared']);
    expect(await listing(volume.cacheDir)).to.deep.equal(before);
  });

  it('produce the same bits as the original files', async () => {
    const content = await readFile(inRepository('demo/samples/images/03-pizza.jpg'));
    for (const items of [TEXTS, [{ type: 'image', content, normalize: true }]])
      await expectSameBits(volume, VISION_ONLY, items);
  });

  it('are ignored if a bit is wrong, and created again by the next run', async () => {
    const [dir = ''] = await formDirs(volume);
    const path = join(dir, 'model.data');
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(path, bytes);
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.prepared).sort()).to.deep.equal([false, true]);
    expect(uses.find((use) => !use.prepared)?.reason).to.include('sha256 of model.data');
    const again = await answers(volume, VISION_ONLY, [], MAKE);
    expect(again.uses.map((use) => [use.prepared, use.madeBytes !== undefined]).sort()).to.deep.equal([
      [true, false],
      [true, true],
    ]);
  });

  it('that were replaced are not used, with any manifest', async () => {
    const [dir = '', other = ''] = await formDirs(volume);
    // A complete optimized model of this program, with its manifest.
    for (const name of ['model.onnx', 'model.data']) await cp(join(other, name), join(dir, name));
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.prepared).sort()).to.deep.equal([false, true]);
    expect(uses.find((use) => !use.prepared)?.reason).to.match(/sha256 of model|bytes, expected/);
  });

  it('with changed facts are not used', async () => {
    for (const dir of await formDirs(volume)) {
      const path = join(dir, 'manifest.json');
      await writeFile(path, (await readFile(path, 'utf8')).replace('"changed": ', '"changed":  '));
    }
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.prepared)).to.deep.equal([false, false]);
  });

  it('that are not in the lock file are not used, and created again by the next run', async () => {
    await rm(join(volume.cacheDir, 'models.lock.json'));
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.reason)).to.deep.equal([NOT_RECORDED, NOT_RECORDED]);
    const again = await answers(volume, VISION_ONLY, [], MAKE);
    expect(again.uses.map((use) => use.madeBytes !== undefined)).to.deep.equal([true, true]);
  });

  it('of another CPU are not used, but kept; those of another runtime are removed', async () => {
    const manifests = await Promise.all(
      (await formDirs(volume)).map(async (dir, index) => {
        const key = index === 0 ? { cpu: ['another'] } : { runtime: '0.0.1' };
        const path = join(dir, 'manifest.json');
        const manifest = JSON.parse(await readFile(path, 'utf8')) as { key: object };
        await writeFile(path, JSON.stringify({ ...manifest, key: { ...manifest.key, ...key } }));
        // The directory is derived from the key.
        const moved = join(dirname(dir), String(index).repeat(32));
        await rename(dir, moved);
        return moved;
      }),
    );
    const { uses } = await answers(volume, VISION_ONLY, TEXTS, true);
    expect(uses.map((use) => use.reason)).to.deep.equal([NOT_OPTIMIZED, NOT_OPTIMIZED]);
    await answers(volume, VISION_ONLY, [], MAKE);
    const after = await formDirs(volume);
    expect(after).to.include(manifests[0]);
    expect(after).not.to.include(manifests[1]);
  });
});

describe('a volume without optimized models', () => {
  let volume: Volume;
  beforeEach(async () => {
    volume = await bareVolume();
  });
  afterEach(() => volume.remove());

  it('gets none for small graphs', async () => {
    const messages = await prepare(volume, VISION_ONLY, '1000');
    expect(messages).to.have.length(2);
    for (const message of messages) expect(message).to.match(/^Skipped: it is too small/);
    expect(await formDirs(volume)).to.deep.equal([]);
  });

  it('has them recorded in a lock file outside, which the volume cannot change', async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), 'heimdex-lock-'));
    try {
      const env = { ...VISION_ONLY, MODELS_LOCK: join(elsewhere, 'models.lock.json') };
      await prepare(volume, env);
      expect(await readdir(elsewhere)).to.deep.equal(['models.lock.json']);
      await writeFile(join(volume.cacheDir, 'models.lock.json'), '{}');
      expect((await answers(volume, env, TEXTS, true)).uses.map((use) => use.prepared)).to.deep.equal([true, true]);
    } finally {
      await rm(elsewhere, { recursive: true, force: true });
    }
  });

  it('that is not writable causes a clear error', async () => {
    await writeFile(optimizedDir(volume.cacheDir), 'in the way');
    const env = { HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY };
    const { code, stderr } = await runHere(env, ['prepare']);
    expect(code).to.equal(3);
    expect(stderr).to.include('.prepared').and.include('needs write access to the volume');
  });
});
