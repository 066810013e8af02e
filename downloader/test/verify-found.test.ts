import { readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readCompiledModels } from '@heimdex/cache';
import { expect } from 'chai';
import type { Plan, PlannedFile } from '../src/plan.js';
import { verifiedHashes } from '../src/record-verified.js';
import { bertRepository } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { NAME, useCheckpoints } from './support/use-checkpoints.js';
import { temporaryDir, withoutLinks } from './support/volume.js';

describe('files whose bytes a run has read', () => {
  const dir = temporaryDir();

  it('are those that it fetched, verified or found right before the plan, and not those it only inspected', async () => {
    const file = async (name: string, action: 'fetch' | 'verify' | 'keep', isVerified?: boolean) => {
      const finalPath = join(dir.path, name);
      await writeFile(finalPath, name);
      const blob = { finalPath, action, hash: { type: 'sha256', value: name } };
      return { offered: { isVerified }, blob } as unknown as PlannedFile;
    };
    const files = [
      await file('fetched', 'fetch'),
      await file('verified', 'verify'),
      await file('looked-at', 'keep'),
      await file('whisper.pt', 'keep', true),
    ];
    const hashes = await verifiedHashes({ models: [{ files }] } as unknown as Plan);
    const root = await realpath(dir.path);
    expect([...hashes].map(([path, { value }]) => [path, value])).to.deep.equal(
      ['fetched', 'verified', 'whisper.pt'].map((name) => [join(root, name), name]),
    );
  });
});

describe('a checkpoint that is to be compiled, and its small files', () => {
  const { dir, env, ok, filled, json, requests, snapshot, bytesAsked, publish } = useCheckpoints();
  const cache = () => join(dir.path, 'cache');
  const lockPath = () => join(cache(), 'models.lock.json');
  const locked = async () => (await readFile(lockPath(), 'utf8').catch(() => '')).includes(NAME);
  const compiled = async () => (await readCompiledModels(cache(), NAME)).length;
  const weights = () => join(snapshot(), 'model.safetensors');

  let lock: string;
  beforeEach(async () => {
    await publish(bertRepository());
    await filled();
    await rm(join(cache(), '.compiled'), { recursive: true });
    lock = await readFile(lockPath(), 'utf8');
    await rm(lockPath());
    requests().clear();
  });

  it('are verified with hashes from the hub where none is on the volume, and not fetched', async () => {
    await withoutLinks(snapshot());
    await ok();
    expect(requests().filter({ kind: 'tree' })).to.have.length(1);
    expect(bytesAsked()).to.deep.equal([]);
    expect([await locked(), await compiled()]).to.deep.equal([true, 1]);
  });

  it("are neither compiled nor changed where the checkpoint's bytes are not the hub's", async () => {
    await withoutLinks(snapshot());
    const bytes = await readFile(weights());
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(weights(), bytes);
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'HASH_MISMATCH' });
    expect(lastLine(result).msg).to.include(weights()).and.include('move it away');
    expect((await readFile(weights())).equals(bytes)).to.equal(true);
    expect([await locked(), await compiled()]).to.deep.equal([false, 0]);
  });

  it('are compiled without a network, but not locked, and the checkpoint stays for a later look', async () => {
    await withoutLinks(snapshot());
    const { log } = await ok([], { HF_HUB_OFFLINE: '1', KEEP_CHECKPOINTS: 'false' });
    expect(log.find(({ event }) => event === 'not-verified')?.msg).to.include('model.safetensors');
    expect([await locked(), await compiled()]).to.deep.equal([false, 1]);
    expect((await readFile(weights())).length).to.be.above(0);
    expect((await runHere(['verify'], env())).status).to.equal(8);
  });

  for (const [what, command] of [
    ['that another program left', []],
    ['that is locked', []],
    ['that is locked, as plan --check says', ['plan', '--check']],
  ] as const) {
    it(`are read before a checkpoint is compiled ${what}: a damaged small file is fetched`, async () => {
      if (what.includes('locked')) await writeFile(lockPath(), lock);
      const config = await realpath(join(snapshot(), 'config.json'));
      const right = await readFile(config, 'utf8');
      await writeFile(config, right.replace('{', ' '));
      // The others are still those of the commit on the volume.
      await publish(bertRepository({ seed: 2 }));
      const { stdout } = await ok(command);
      if (command.length > 0) {
        expect(stdout).to.match(/fetch +config\.json/);
        return;
      }
      expect(await readFile(config, 'utf8')).to.equal(right);
      expect(bytesAsked()).not.to.include('model.safetensors');
      expect([await locked(), await compiled()]).to.deep.equal([true, 1]);
    });
  }

  it('are those of the branch if others have to be fetched too', async () => {
    await writeFile(await realpath(join(snapshot(), 'config.json')), '{}');
    await rm(join(snapshot(), 'tokenizer.json'));
    await publish(bertRepository({ seed: 2 }));
    const [model] = (await json(['plan', '--check'])).models;
    expect(model).to.include({ revision: basename(snapshot()) });
  });

  it('are damaged at a commit that the hub has no longer: the error says to fetch the current one', async () => {
    const gone = 'b'.repeat(40);
    const repository = dirname(dirname(snapshot()));
    await writeFile(await realpath(join(snapshot(), 'config.json')), '{}');
    await rename(snapshot(), join(repository, 'snapshots', gone));
    await writeFile(join(repository, 'refs/main'), gone);
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(3);
    expect(lastLine(result).msg)
      .to.include(`The volume has the commit ${gone}`)
      .and.include('heimdex-downloader update');
    await ok(['update']);
    expect(await locked()).to.equal(true);
  });
});
