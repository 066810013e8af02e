import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compiledKeyName, formatCompiledManifest, formatTree, readCompiledModels } from '@heimdex/cache';
import type { HubFile } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository } from './support/checkpoints.js';
import { lastLine } from './support/program.js';
import { DENSE_FILES, NAME, useCheckpoints } from './support/use-checkpoints.js';

describe('a compiled model whose repository has a new commit with the same weights', () => {
  const { dir, ok, json, filled, compiled, publish, requests } = useCheckpoints();
  let cache: string;
  beforeEach(async () => {
    cache = join(dir.path, 'cache');
    await publish(bertRepository());
    await filled();
  });

  const { files } = bertRepository();
  const withFile = (path: string, change: (text: string) => string): readonly HubFile[] =>
    files.map((file) => (file.path === path && 'bytes' in file ? { path, bytes: change(String(file.bytes)) } : file));
  const models = async () => readCompiledModels(cache, NAME);

  for (const [what, changed, reason] of [
    [
      'changes config.json',
      withFile('config.json', (text) => text.replace('"num_attention_heads":4', '"num_attention_heads":2')),
      'compiled from other files',
    ],
    // Which has a version of its own.
    [
      'adds a layer behind the pooling',
      [...files, ...DENSE_FILES],
      'compiled by another version or in another precision',
    ],
  ] as const) {
    it(`is compiled again if the commit ${what}`, async () => {
      const { sha } = await publish({ name: NAME, files: changed });
      await ok(['update']);
      const { steps } = await json(['prune']);
      expect(steps.map((step: { reason: string }) => step.reason)).to.include(reason);
      const [first, second] = await models();
      expect([first, second].map((model) => model?.manifest.commit)).to.include(sha);
      expect(first?.path).not.to.equal(second?.path);
      const lines = (await ok(['list'])).stdout.split('\n').filter((line) => line.startsWith('compiled '));
      expect(lines).to.have.length(2);
      for (const line of lines) {
        const isNew = line.startsWith(`compiled  ${NAME} (int8) at ${sha.slice(0, 8)}: `);
        expect(line.includes('; not used, ')).to.equal(!isNew);
      }
      requests().clear();
      expect(lastLine(await ok()).msg).to.match(/^Up to date/);
      expect(requests().count).to.equal(0);
      await ok(['verify']);
    });
  }

  it('is fetched with what Python has left out of it, by the tree list that Python leaves', async () => {
    const pooling: readonly HubFile[] = [
      { path: 'modules.json', bytes: '[{"type":"sentence_transformers.models.Pooling","path":"1_Pooling"}]' },
      { path: '1_Pooling/config.json', bytes: '{"pooling_mode":"cls"}' },
    ];
    const { sha, files: listed } = await publish({ name: NAME, files: [...files, ...pooling] });
    const tree = [...listed].map(([path, { sizeBytes, oid: blobId, lfsOid: lfsSha256 }]) => {
      return [path, { sizeBytes, blobId, lfsSha256, lfsSizeBytes: undefined, xetHash: undefined }] as const;
    });
    const repo = join(cache, 'models--acme--german-bert');
    // The same files, as snapshot_download with allow_patterns leaves them.
    const [before = ''] = await readdir(join(repo, 'snapshots'));
    await rename(join(repo, 'snapshots', before), join(repo, 'snapshots', sha));
    await writeFile(join(repo, 'refs', 'main'), sha);
    await rm(join(cache, 'models.lock.json'));
    await mkdir(join(repo, 'trees'), { recursive: true });
    await writeFile(join(repo, 'trees', `${sha}.json`), formatTree(new Map(tree)));
    // Not with the weights of the commit that its branch has moved to.
    await publish(bertRepository({ seed: 2 }));
    const [{ files: planned, revision }] = (await json(['plan'])).models;
    expect(revision).to.equal(sha);
    const fetched = planned.filter(({ action }: { action: string }) => action === 'fetch');
    expect(fetched.map(({ path }: { path: string }) => path)).to.have.members(pooling.map(({ path }) => path));
  });

  it('is used as it is if the commit changes only files that the compiler does not read', async () => {
    const { path } = await compiled();
    await publish({ name: NAME, files: withFile('README.md', (text) => `${text}!`) });
    await ok(['update']);
    expect((await compiled()).path).to.equal(path);
  });

  it('of an earlier version, which names no small files, is used at its commit and compiled again at another', async () => {
    const { path, manifest } = await compiled();
    const { inputs: _, ...old } = manifest;
    const before = join(dirname(path), compiledKeyName(old));
    await rename(path, before);
    await writeFile(join(before, 'compiled.json'), formatCompiledManifest(old));
    expect(lastLine(await ok()).msg).to.match(/^Up to date/);
    await ok(['verify']);
    await publish({ name: NAME, files: withFile('README.md', (text) => `${text}!`) });
    await ok(['update']);
    expect((await models()).map(({ manifest: { inputs } }) => inputs?.length)).to.have.members([undefined, 1]);
    await ok(['verify']);
  });

  it('of an earlier version is compiled again if a byte is wrong', async () => {
    const { path, manifest } = await compiled();
    const { inputs: _, ...old } = manifest;
    const before = join(dirname(path), compiledKeyName(old));
    await mkdir(before);
    await writeFile(join(before, 'compiled.json'), formatCompiledManifest(old));
    for (const { name, sizeBytes } of old.graphs.flatMap((graph) => graph.files))
      await writeFile(join(before, name), Buffer.alloc(sizeBytes));
    await rm(path, { recursive: true });
    await ok(['download', '--check']);
    await ok(['verify']);
  });
});
