import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect } from 'chai';
import { pack } from 'tar-stream';
import { lastLine, runHere } from './support/program.js';
import { ENCODER, FACES_REPOSITORY, SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { whenTrue } from './support/volume.js';

describe('export and import', () => {
  const { dir, hub, env, ok, filled } = useHub({ repositories: [speechRepository(), FACES_REPOSITORY] });
  let cache: string;

  beforeEach(async () => {
    cache = join(dir.path, 'cache');
  });

  const lockText = () => readFile(join(cache, 'models.lock.json'), 'utf8');

  const other = () => ({ HF_HUB_CACHE: join(dir.path, 'other'), HF_HUB_OFFLINE: '1' });
  const tar = () => join(dir.path, 'models.tar');

  it('carry whole models to a volume without a network', async () => {
    await filled();
    await ok(['export', tar()]);
    hub.requests.clear();
    await ok(['import', tar()], other());
    await ok([], other());
    await ok(['verify'], other());
    expect(hub.requests.count).to.equal(0);
    expect(await readdir(dir.path)).to.include('models.tar');
  });

  it('give a cache that is the same name by name', async () => {
    await filled();
    await ok(['export', tar()]);
    await ok(['import', tar()], other());
    const names = async (path: string) =>
      (await readdir(path, { recursive: true })).filter((name) => !name.startsWith('.locks')).sort();
    expect(await names(join(dir.path, 'other'))).to.deep.equal(await names(cache));
  });

  it('work over stdout and stdin', async () => {
    await filled();
    const { stdoutBytes, status } = await runHere(['export', '-'], env());
    expect(status).to.equal(0);
    const result = await runHere(['import', '-'], env(other()), { stdin: Readable.from([stdoutBytes]) });
    expect(result.status, result.stderr).to.equal(0);
    await ok(['verify'], other());
  });

  it('end on Ctrl-C while a named pipe has no writer', async function () {
    const pipe = join(dir.path, 'pipe');
    if (spawnSync('mkfifo', [pipe]).status !== 0) this.skip();
    const interrupt = new AbortController();
    const importing = runHere(['import', pipe], env(other()), { signal: interrupt.signal });
    await whenTrue(async () => existsSync(join(dir.path, 'other/.locks/prune.lock')));
    interrupt.abort();
    expect((await importing).status).to.equal(130);
  });

  it('write the same bytes twice', async () => {
    await filled();
    const first = await runHere(['export', '-'], env());
    const second = await runHere(['export', '-'], env());
    expect(first.stdoutBytes.equals(second.stdoutBytes)).to.equal(true);
  });

  it('take nothing when all is there', async () => {
    await filled();
    await ok(['export', tar()]);
    await ok(['import', tar()], other());
    const again = await runHere(['import', tar()], env(other()));
    expect(lastLine(again)).to.include({ event: 'imported', files: 0, presentFiles: 7 });
  });

  it('leave what another program has put on the volume for prune to keep', async () => {
    await filled();
    await ok(['export', tar()]);
    // What prune may remove, without its lock file, is what another program has fetched.
    const removed = async () => {
      const { steps } = JSON.parse(await ok(['prune', '--json'], { ASR_MODEL: 'none' }));
      return steps.map(({ path }: { path: string }) => path.slice(cache.length + 1)).sort();
    };
    expect(await removed()).to.deep.equal(['models--acme--speech']);
    await rm(join(cache, 'models.lock.json'));
    await ok(['import', tar()]);
    expect(await removed()).to.deep.equal([]);
    // Its record, which says so, is not replaced by one that does not.
    await ok(['import', tar()]);
    expect(await removed()).to.deep.equal([]);
  });

  it('refuse to export an incomplete model', async () => {
    const result = await runHere(['export', tar()], env());
    expect(result.status).to.equal(3);
    expect(await readdir(dir.path)).not.to.include('models.tar');
  });

  it('refuse to export damaged bytes', async () => {
    await filled();
    const path = join(cache, 'models--acme--speech', 'snapshots', hub.commit(SPEECH_REPOSITORY).sha, ENCODER);
    const file = await open(path, 'r+');
    await file.write('x', 100);
    await file.close();
    expect((await runHere(['export', tar()], env())).status).to.equal(7);
    expect((await readdir(dir.path)).filter((name) => name.startsWith('models.tar'))).to.deep.equal([]);
  });

  it('refuse an archive with one wrong byte, and publish nothing of it', async () => {
    await filled();
    const { stdoutBytes } = await runHere(['export', '-'], env());
    const encoder = stdoutBytes.indexOf(hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid ?? '', 10_000);
    stdoutBytes.writeUInt8(stdoutBytes.readUInt8(encoder + 5_000) ^ 1, encoder + 5_000);
    const result = await runHere(['import', '-'], env(other()), { stdin: Readable.from([stdoutBytes]) });
    expect(result.status, result.stderr).to.equal(7);
    expect((await runHere([], env(other()))).status).to.equal(3);
  });

  it('refuse an archive that ends early', async () => {
    await filled();
    const { stdoutBytes } = await runHere(['export', '-'], env());
    const result = await runHere(['import', '-'], env(other()), {
      stdin: Readable.from([stdoutBytes.subarray(0, 600_000)]),
    });
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'ARCHIVE_INVALID' });
  });

  it('reject an invalid archive and a missing one', async () => {
    const result = await runHere(['import', '-'], env(other()), { stdin: Readable.from([Buffer.alloc(5_000, 'x')]) });
    expect(lastLine(result)).to.include({ code: 'ARCHIVE_INVALID' });
    const archive = pack();
    archive.entry({ name: 'models.lock.json' }, '{}');
    archive.finalize();
    const { msg } = lastLine(await runHere(['import', '-'], env(other()), { stdin: Readable.from(archive) }));
    expect(msg).to.include('models.lock.json').and.include('formatVersion').and.not.include('Delete');
    expect((await runHere(['import', tar()], env(other()))).status).to.equal(3);
  });

  it('write nothing outside the cache for any names in an archive', async () => {
    await filled();
    const archive = pack();
    archive.entry({ name: 'models.lock.json' }, await lockText());
    archive.entry({ name: '../../escaped' }, 'x');
    archive.entry({ name: 'models--acme--speech/blobs/x', type: 'symlink', linkname: '/etc' });
    archive.finalize();
    const result = await runHere(['import', '-'], env(other()), { stdin: Readable.from(archive) });
    expect(lastLine(result)).to.include({ code: 'ARCHIVE_INVALID' });
    const names = await readdir(dir.path, { recursive: true });
    expect(names.filter((name) => name.includes('escaped') || name.endsWith('blobs/x'))).to.deep.equal([]);
  });

  it('take no plain file with the name of the lock file', async () => {
    await filled();
    const before = await lockText();
    const bytes = Buffer.from('{"formatVersion":1,"models":[]}');
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const files = [{ path: 'models.lock.json', sizeBytes: bytes.length, sha256 }];
    const source = { repository: 'acme/plain', source: 'hf', requestedRevision: 'main', revision: sha256 };
    const model = { role: 'faces', entry: 'acme/plain', variant: 'fp32', layout: 'plain', ...source, files };
    const archive = pack();
    archive.entry({ name: 'models.lock.json' }, JSON.stringify({ formatVersion: 1, models: [model] }));
    archive.entry({ name: 'models.lock.json' }, bytes);
    archive.finalize();
    const result = await runHere(['import', '-'], env(), { stdin: Readable.from(archive) });
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'PATH_UNSAFE' });
    expect(await lockText()).to.equal(before);
  });
});
