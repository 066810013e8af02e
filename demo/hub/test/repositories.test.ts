import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { startHub } from '../src/index.js';
import { ask, jsonOf } from './support/request.js';
import { TINY, useHub } from './support/use-hub.js';

describe('repositories of the hub', () => {
  const start = useHub();
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-hub-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('combine directories and files from several sources', async () => {
    await mkdir(join(dir, 'org', 'name', 'onnx'), { recursive: true });
    await writeFile(join(dir, 'org', 'name', 'onnx', 'a.onnx'), 'graph');
    await writeFile(join(dir, 'org', 'name', 'b.json'), '{}');
    await writeFile(join(dir, 'README.md'), 'not a repository');
    const mixed = {
      name: 'org/mixed',
      files: [
        { path: 'moved/x.onnx', file: join(dir, 'org', 'name', 'onnx', 'a.onnx') },
        { path: 'own.json', bytes: '{"own":1}' },
      ],
    };
    const hub = await start({ dirs: [dir], repositories: [mixed] });
    expect(hub.names()).to.deep.equal(['org/mixed', 'org/name']);
    expect([...hub.commit('org/name').files.keys()]).to.deep.equal(['b.json', 'onnx/a.onnx']);
    const { headers } = await ask(`${hub.url}/org/mixed/resolve/main/moved/x.onnx`);
    expect((await ask(headers.location ?? '')).body.toString()).to.equal('graph');
  });

  it('may be clones of git, but not without their large files', async () => {
    const clone = join(dir, 'org', 'clone');
    await mkdir(join(clone, '.git'), { recursive: true });
    await writeFile(join(clone, '.git', 'HEAD'), 'ref: refs/heads/main');
    await writeFile(join(clone, 'config.json'), '{}');
    const hub = await start({ dirs: [dir] });
    expect([...hub.commit('org/clone').files.keys()]).to.deep.equal(['config.json']);
    await writeFile(join(clone, 'a.onnx'), 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n');
    const error = await start({ dirs: [dir] }).catch((cause: unknown) => cause);
    expect(error).to.have.property('message').that.includes('git lfs pull').and.includes(join(clone, 'a.onnx'));
  });

  it('have a commit that depends only on the files', async () => {
    const first = await start();
    const second = await start();
    expect(second.commit('me/tiny').sha).to.equal(first.commit('me/tiny').sha);
    const other = await start({ repositories: [{ ...TINY, files: [{ path: 'config.json', bytes: '{}' }] }] });
    expect(other.commit('me/tiny').sha).to.not.equal(first.commit('me/tiny').sha);
  });

  it('keep earlier commits when a branch moves, and support branches and tags', async () => {
    const hub = await start();
    const before = hub.commit('me/tiny').sha;
    const next = await hub.publish({ ...TINY, files: [{ path: 'config.json', bytes: '{"tiny":false}' }] });
    await hub.publish({ ...TINY, files: [{ path: 'x', bytes: 'pr' }], revision: 'refs/pr/1' });
    const shaAt = async (revision: string) =>
      (jsonOf(await ask(`${hub.url}/api/models/me/tiny/revision/${revision}`)) as { sha: string }).sha;
    expect(await shaAt('main')).to.equal(next.sha);
    expect(await shaAt(before)).to.equal(before);
    expect(await shaAt('refs%2Fpr%2F1')).to.equal(await shaAt('refs/pr/1'));
    expect((await ask(`${hub.url}/me/tiny/resolve/refs%2Fpr%2F1/x`)).status).to.equal(307);
  });

  it('that were renamed redirect to the new name', async () => {
    const hub = await start({ repositories: [{ ...TINY, formerNames: ['old/name'] }] });
    for (const path of ['/api/models/old/name/tree/main?recursive=true', '/old/name/resolve/main/config.json']) {
      const answer = await ask(hub.url + path);
      expect([answer.status, answer.headers.location]).to.deep.equal([307, path.replace('old/name', 'me/tiny')]);
    }
  });

  it('that the command line names and that are not there are an error with the usage', () => {
    const main = fileURLToPath(new URL('../src/main.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [main, join(dir, 'none')], { encoding: 'utf8' });
    expect(status, stderr).to.equal(2);
    expect(stderr).to.match(/^ENOENT: no such file or directory.*\n\nUsage: /);
  });

  it('with duplicate files are rejected', async () => {
    const files = [
      { path: 'a', bytes: '1' },
      { path: 'a', bytes: '2' },
    ];
    const outcome = await startHub({ repositories: [{ name: 'me/twice', files }] }).catch(
      (error: Error) => error.message,
    );
    expect(outcome).to.equal('me/twice has duplicate files: a');
  });
});
