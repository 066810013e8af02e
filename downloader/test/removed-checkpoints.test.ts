import { mkdir, readdir, readFile, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { blobLockPath } from '@heimdex/cache';
import { expect } from 'chai';
import { acquireLock } from '../src/blob-lock.js';
import { bertRepository } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { NAME, useCheckpoints } from './support/use-checkpoints.js';
import { flip } from './support/volume.js';

describe('a checkpoint with KEEP_CHECKPOINTS=false', () => {
  const { dir, env, ok, filled, json, snapshot, compiled, bytesAsked, requests, publish } = useCheckpoints();
  let cache: string;
  beforeEach(() => {
    cache = join(dir.path, 'cache');
  });

  const DROP = { KEEP_CHECKPOINTS: 'false' };

  /** Runs the program beside another one that compiles: it waits until that one has done `work` to the volume, and ends well. */
  async function runBeside(more: NodeJS.ProcessEnv, work: () => Promise<void>): Promise<void> {
    const path = blobLockPath(env().HF_HUB_CACHE ?? '', NAME, 'compile');
    const { signal } = new AbortController();
    const first = await acquireLock(path, { onWait() {}, onUnsupported() {} }, signal);
    let onWait = () => {};
    const waiting = new Promise<void>((resolve) => {
      onWait = resolve;
    });
    const second = runHere([], env(more), { onWait });
    await Promise.race([waiting, second]);
    await work();
    await first.release();
    const { status, stderr } = await second;
    expect(stderr).to.include('waiting for it');
    expect(status, stderr).to.equal(0);
  }

  it('is removed by one of two programs, and the other one finds it gone', async () => {
    await filled();
    await runBeside(DROP, () => rm(join(snapshot(), 'model.safetensors')));
  });

  it('is fetched again for another precision if another program has removed it before it is compiled', async () => {
    await filled();
    const other = { TEXT_MODEL_NAME: `${NAME}:fp32` };
    await runBeside({ ...DROP, ...other }, async () => rm(await realpath(join(snapshot(), 'model.safetensors'))));
    expect(bytesAsked()).to.include('model.safetensors');
    await ok(['verify'], other);
  });

  for (const name of [NAME, 'acme/sharded-bert']) {
    it(`is removed once it is compiled and verified; its hashes stay, and the volume is complete: ${name}`, async () => {
      const more = { ...DROP, TEXT_MODEL_NAME: name };
      const { log } = await ok([], more);
      expect(log.some(({ event }) => event === 'checkpoint-dropped')).to.equal(true);
      const left = await readdir(snapshot(name));
      expect(left).to.have.members(['config.json', 'tokenizer.json']);
      const blobs = await readdir(join(cache, `models--${name.replace('/', '--')}`, 'blobs'));
      expect(blobs).to.have.length(2);
      const lock = await readFile(join(cache, 'models.lock.json'), 'utf8');
      for (const { sha256 } of (await compiled(name)).manifest.sources) expect(lock).to.include(sha256);
      requests().clear();
      expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
      await ok(['verify'], more);
      expect(requests().count).to.equal(0);
      expect((await json(['prune'], more)).steps).to.deep.equal([]);
      expect((await ok(['update'], more)).stdout).to.match(/No changes/);
      expect(bytesAsked()).not.to.include('model.safetensors');
    });
  }

  it('is removed before the next one is fetched, so that the volume holds one at a time', async () => {
    const more = { ...DROP, ASR_MODEL: 'acme/whisper-test:fp32', TEXT_MODEL_NAME: `${NAME}:fp32` };
    const costs = async (env: NodeJS.ProcessEnv) => (await json(['plan'], env)).costs;
    const kept = await costs({ ...more, KEEP_CHECKPOINTS: 'true' });
    expect(kept.peakBytes).to.equal(kept.endBytes);
    const planned = await costs(more);
    expect(planned.endBytes).to.be.below(planned.peakBytes);
    expect(planned.peakBytes).to.be.below(kept.peakBytes);
    const steps = ['start', 'compiled', 'checkpoint-dropped'];
    const { log } = await ok([], more);
    const done = log.map(({ event }) => String(event)).filter((event) => steps.includes(event));
    expect(done).to.deep.equal([...steps, ...steps]);
    expect(log.at(-1)).to.include({ event: 'summary', fetchedFiles: 6 });
    requests().clear();
    expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
    await ok(['verify'], more);
    expect(requests().count).to.equal(0);
    const lock = JSON.parse(await readFile(join(cache, 'models.lock.json'), 'utf8'));
    expect(lock.models).to.have.length(2);
  });

  it('goes from a volume that was filled before', async () => {
    await filled();
    await ok([], DROP);
    expect(await readdir(snapshot())).not.to.include('model.safetensors');
    await ok(['verify'], DROP);
  });

  it('is fetched again for another precision, and for graphs of another compiler', async () => {
    await filled();
    await ok([], DROP);
    requests().clear();
    await ok([], { ...DROP, TEXT_MODEL_NAME: `${NAME}:fp32` });
    expect(bytesAsked()).to.include('model.safetensors');
    await rm(join(cache, '.compiled'), { recursive: true });
    requests().clear();
    await ok([], DROP);
    expect(bytesAsked()).to.include('model.safetensors');
    expect(await readdir(snapshot())).not.to.include('model.safetensors');
  });

  it('is not fetched again at a commit that has the same shards, for any precision', async () => {
    const { name, files } = bertRepository({ name: 'acme/sharded-bert', weights: 'shards' });
    const precisions = [name, `${name}:fp32`].map((TEXT_MODEL_NAME) => ({ ...DROP, TEXT_MODEL_NAME }));
    for (const more of precisions) await ok([], more);
    await publish({ name, files: [...files, { path: 'NOTES.md', bytes: 'other' }] });
    requests().clear();
    for (const more of precisions) {
      expect((await ok(['update'], more)).stdout).to.include('1 model changed, 0 B to fetch');
      await ok(['verify'], more);
    }
    expect(bytesAsked()).to.deep.equal([]);
  });

  it('is not fetched again at a commit that has the same weights', async () => {
    await filled();
    await ok([], DROP);
    const { files } = bertRepository();
    const notes = { path: 'NOTES.md', bytes: 'other' };
    await publish({ name: NAME, files: [...files, notes] });
    requests().clear();
    await ok(['update'], DROP);
    expect(bytesAsked()).to.deep.equal([]);
    requests().clear();
    expect(lastLine(await ok([], DROP)).msg).to.match(/^Up to date/);
    await ok(['verify'], DROP);
    expect(requests().count).to.equal(0);
    await rm(join(snapshot(), 'tokenizer.json'));
    await ok([], DROP);
    expect(bytesAsked()).to.deep.equal([]);
    await publish(bertRepository({ seed: 2 }));
    await ok(['update'], DROP);
    expect(bytesAsked()).to.include('model.safetensors');
    await ok(['verify'], DROP);
  });

  it('is not fetched, and nothing compiled, when only a small file is missing, as plan shows', async () => {
    await filled();
    await ok([], DROP);
    for (const lock of [true, false]) {
      if (!lock) await rm(join(cache, 'models.lock.json'));
      await rm(join(snapshot(), 'tokenizer.json'));
      const planned = await json(['plan'], DROP);
      expect(planned.models[0]).not.to.have.property('compile');
      expect(planned.models[0].files.map(({ path }: { path: string }) => path)).to.deep.equal([
        'config.json',
        'tokenizer.json',
      ]);
      requests().clear();
      const { log } = await ok([], DROP);
      expect(log.some(({ event }) => event === 'compile')).to.equal(false);
      expect(bytesAsked()).to.deep.equal([]);
      await ok(['verify'], DROP);
    }
  });

  it('stays if its compiled form is damaged', async () => {
    await filled();
    const { path } = await compiled();
    await flip(join(path, 'model.onnx_data'));
    expect((await runHere([], env(DROP))).status).to.equal(7);
    expect(await readdir(snapshot())).to.include('model.safetensors');
  });

  it('keeps the bytes that another commit points at', async () => {
    await filled();
    const other = join(snapshot(), '..', 'a'.repeat(40));
    await mkdir(other);
    const { symlink, readlink } = await import('node:fs/promises');
    const target = await readlink(join(snapshot(), 'model.safetensors'));
    await symlink(target, join(other, 'model.safetensors'));
    await ok([], DROP);
    expect((await stat(join(other, 'model.safetensors'))).size).to.be.above(0);
  });
});
