import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { bertRepository } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { NAME, useCheckpoints } from './support/use-checkpoints.js';

describe('a checkpoint in the lock file whose branch has moved', () => {
  const { dir, env, ok, filled, json, publish } = useCheckpoints();
  let lockPath: string;
  let first: string;
  beforeEach(async () => {
    lockPath = join(dir.path, 'cache', 'models.lock.json');
    await publish(bertRepository());
    await filled();
    first = await readFile(lockPath, 'utf8');
    await publish(bertRepository({ seed: 2 }));
  });

  const revisionIn = (lock: string): string => JSON.parse(lock).models[0].revision;

  it('is fetched to an empty volume at its locked commit, with the locked bytes', async () => {
    const path = join(dir.path, 'lock.json');
    await writeFile(path, first);
    const other = { HF_HUB_CACHE: join(dir.path, 'other'), MODELS_LOCK: path };
    const [planned] = (await json(['plan'], other)).models;
    expect(planned).to.include({ revision: revisionIn(first), variant: 'int8' });
    await ok([], other);
    expect(await readFile(path, 'utf8')).to.equal(first);
    await ok(['verify'], other);
  });

  it('is what is served again, without a network, when the lock file of before an update is put back', async () => {
    await ok(['update']);
    expect(revisionIn(await readFile(lockPath, 'utf8'))).not.to.equal(revisionIn(first));
    await writeFile(lockPath, first);
    const offline = { HF_HUB_OFFLINE: '1' };
    expect(lastLine(await ok([], offline)).msg).to.match(/^Up to date/);
    await ok(['verify'], offline);
    expect(await readFile(lockPath, 'utf8')).to.equal(first);
  });

  for (const [what, weights] of [
    ['its compiled form and its checkpoint', ['snapshots', 'COMMIT', 'model.safetensors']],
    ['its compiled form and its repository', []],
  ] as const) {
    it(`stays at its locked commit when the volume has lost ${what}`, async () => {
      const repository = join(dir.path, 'cache', `models--${NAME.replace('/', '--')}`);
      await rm(join(dir.path, 'cache', '.compiled'), { recursive: true });
      const path = weights.map((part) => part.replace('COMMIT', revisionIn(first)));
      await rm(join(repository, ...path), { recursive: true });
      await ok();
      expect(await readFile(lockPath, 'utf8')).to.equal(first);
    });
  }

  for (const [what, move] of [
    ['has been moved', () => ok(['update'], { MODELS_LOCK: join(dir.path, 'other.json') })],
    [
      'has been removed',
      () => rm(join(dir.path, 'cache', `models--${NAME.replace('/', '--')}`, 'refs'), { recursive: true }),
    ],
  ] as const) {
    it(`stays at its locked commit when it only has to be compiled and the branch of the volume ${what} by another program`, async () => {
      await move();
      await rm(join(dir.path, 'cache', '.compiled'), { recursive: true });
      await ok();
      expect(await readFile(lockPath, 'utf8')).to.equal(first);
      await ok(['verify']);
    });
  }

  it('follows the branch when update runs', async () => {
    await ok(['update']);
    expect(revisionIn(await readFile(lockPath, 'utf8'))).not.to.equal(revisionIn(first));
    await ok(['verify']);
  });

  it('is locked as what its repository is when update finds an export in its place, and a checkpoint again', async () => {
    const common = [...bertRepository().files, { path: 'tokenizer_config.json', bytes: '{}' }];
    const graph = { path: 'onnx/model_quantized.onnx', bytes: 'a graph' };
    const kinds = {
      q8: [...common.filter(({ path }) => path !== 'model.safetensors'), graph],
      int8: common,
    };
    const former: object[] = [];
    for (const [variant, files] of Object.entries(kinds)) {
      const { sha } = await publish({ name: NAME, files });
      expect((await ok(['update'])).stdout)
        .to.include(`(${variant}): `)
        .and.not.include('not locked');
      const { models } = JSON.parse(await readFile(lockPath, 'utf8'));
      expect(models).to.have.length(1);
      expect(models[0]).to.include({ variant, revision: sha });
      const lock = await readFile(lockPath, 'utf8');
      // An import leaves the record of what the repository was.
      await writeFile(lockPath, JSON.stringify({ formatVersion: 1, models: [...former, ...models] }));
      former.push(...models);
      expect((await json(['verify'])).models[0]).to.include({ variant, revision: sha });
      await writeFile(lockPath, lock);
      expect((await ok(['update'])).stdout).to.match(/No changes/);
    }
  });

  for (const name of ['config.json', 'model.safetensors']) {
    it(`is refused when the hub offers other bytes than the locked ones: ${name}`, async () => {
      const lock = JSON.parse(first);
      const file = lock.models[0].files.find(({ path }: { path: string }) => path === name);
      Object.assign(file, name === 'config.json' ? { blobId: '0'.repeat(40) } : { sha256: '0'.repeat(64) });
      const path = join(dir.path, 'lock.json');
      await writeFile(path, JSON.stringify(lock));
      const result = await runHere([], env({ HF_HUB_CACHE: join(dir.path, 'other'), MODELS_LOCK: path }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'HASH_MISMATCH' });
      expect(lastLine(result).msg).to.include(name).and.include('heimdex-downloader update');
    });
  }
});
