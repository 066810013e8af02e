import { once } from 'node:events';
import { chmod, lstat, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import { run } from '../src/run.js';
import { lastLine, runHere } from './support/program.js';
import { ENCODER, SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { asAnotherUser } from './support/volume.js';

describe('an error of a command', () => {
  const { dir, hub, env, ok, filled } = useHub();
  let cache: string;
  beforeEach(async () => {
    cache = join(dir.path, 'cache');
  });

  /** The message of a run that fails with this status and prints nothing. */
  async function failure(status: number, argv: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<string> {
    const result = await runHere(argv, env(more));
    expect(result.status, result.stderr).to.equal(status);
    expect(result.stdout).to.equal('');
    return lastLine(result).msg;
  }
  const damage = () => hub.faults.add({ on: { kind: 'bytes', file: ENCODER }, do: { type: 'flip', atByte: 5 } });

  it('of update is not preceded by its result as JSON', async () => {
    await filled();
    await hub.publish(speechRepository({ seed: 'two' }));
    damage();
    await failure(7, ['update', '--json']);
    hub.faults.clear();
    expect(JSON.parse(await ok(['update', '--json'])).moved).to.have.length(1);
  });

  it('does not follow prune, which names what it has removed', async () => {
    await filled();
    await hub.publish({ ...speechRepository({ seed: 'other' }), name: 'acme/other' });
    await ok([], { ASR_MODEL: 'acme/other' });
    expect(await ok(['prune', '--yes'])).to.match(/^removed {2}models--acme--other /);
    expect(await readdir(cache)).not.to.include('models--acme--other');
  });

  it('of update names update as the next command, as it is the one that goes on', async () => {
    await filled();
    await hub.publish(speechRepository({ seed: 'two' }));
    damage();
    expect(await failure(7, ['update', '--json'])).to.match(/then run: heimdex-downloader update --json$/);
  });

  it('for a locked commit that the hub no longer has names the lock file and update', async () => {
    await filled();
    const lock = join(dir.path, 'lock.json');
    const other = { MODELS_LOCK: lock, HF_HUB_CACHE: join(dir.path, 'other') };
    const { sha } = hub.commit(SPEECH_REPOSITORY);
    await writeFile(lock, (await readFile(join(cache, 'models.lock.json'), 'utf8')).replaceAll(sha, 'a'.repeat(40)));
    expect(await failure(3, [], other))
      .to.include(`The lock file chose the commit ${'a'.repeat(40)} of ${SPEECH_REPOSITORY}`)
      .and.match(/run: heimdex-downloader update$/);
    await ok(['update'], other);
  });

  it('for a file that the store has lost does not speak of access or of a clock', async () => {
    hub.faults.add({ on: { server: 'cdn', file: ENCODER }, do: { type: 'status', status: 404 } });
    expect(await failure(3, []))
      .to.include('does not have it (404)')
      .and.not.include('clock');
  });

  it('for a repository that prune does not find lists those that are there', async () => {
    await filled();
    expect(await failure(2, ['prune', '--repository', 'acme/speach']))
      .to.include('acme/speach')
      .and.include(`did you mean "${SPEECH_REPOSITORY}"?`);
    expect(await failure(2, ['prune', '--repository', 'x/y', '--yes'])).to.include(SPEECH_REPOSITORY);
  });

  it('for an archive that is a directory speaks of the archive, not of the volume', async () => {
    expect(await failure(3, ['import', dir.path]))
      .to.include(dir.path)
      .and.include('import FILE');
  });

  it('for an export into a directory comes before a byte is written', async () => {
    await filled();
    const out = join(dir.path, 'out');
    await mkdir(out);
    expect(await failure(2, ['export', out]))
      .to.include(out)
      .and.include('export FILE');
    expect((await readdir(dir.path)).filter((name) => name.endsWith('.tmp'))).to.deep.equal([]);
  });

  it('for an output that is no regular file comes before it is replaced, and a link to one stays a link', async () => {
    await filled();
    const out = join(dir.path, 'out');
    await mkdir(out);
    const socket = createServer().listen(join(out, 'socket'));
    await once(socket, 'listening');
    try {
      expect(await failure(2, ['export', socket.address() as string]))
        .to.include('not a regular file')
        .and.include('export -');
      expect(await failure(6, ['--metrics-file', socket.address() as string])).to.include('not a regular file');
      expect((await lstat(join(out, 'socket'))).isSocket()).to.equal(true);
    } finally {
      socket.close();
      await once(socket, 'close');
    }
    for (const name of ['models.tar', 'metrics']) {
      await writeFile(join(dir.path, name), '');
      await symlink(join('..', name), join(out, name));
    }
    await ok(['export', join(out, 'models.tar'), '--metrics-file', join(out, 'metrics')]);
    for (const name of ['models.tar', 'metrics']) {
      expect((await lstat(join(out, name))).isSymbolicLink()).to.equal(true);
      expect((await stat(join(dir.path, name))).size).to.be.above(0);
    }
  });

  it('that killed an export leaves a temporary file that a later one removes, and no other', async () => {
    await filled();
    const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
    for (const name of ['models.tar.1a2b3c4d.tmp', 'models.tar.5e6f7a8b.tmp', 'models.tar.mine.1a2b3c4d.tmp']) {
      await writeFile(join(dir.path, name), 'x');
      if (!name.includes('5e6f')) await utimes(join(dir.path, name), old, old);
    }
    await ok(['export', join(dir.path, 'models.tar')]);
    expect((await readdir(dir.path)).filter((name) => name.startsWith('models.tar.'))).to.have.members([
      'models.tar.5e6f7a8b.tmp',
      'models.tar.mine.1a2b3c4d.tmp',
    ]);
  });

  it('of removing what another user left does not end an export, as in a directory with the sticky bit', async function () {
    await filled();
    const shared = join(dir.path, 'shared');
    const left = join(shared, 'models.tar.1a2b3c4d.tmp');
    await mkdir(shared);
    await writeFile(left, 'x');
    await utimes(left, 0, 0);
    for (const path of [dirname(dir.path), dir.path, cache]) await chmod(path, 0o755);
    await chmod(shared, 0o1777);
    await asAnotherUser(this, shared, () => ok(['export', join(shared, 'models.tar')]));
    expect(await readdir(shared)).to.have.members(['models.tar', 'models.tar.1a2b3c4d.tmp']);
  });

  it('of a signal names the command with its options, as a shell reads them', async () => {
    for (const argv of [
      ['download', '--check'],
      ['prune', '--yes', '--repository', 'acme/one'],
      ['import', 'my models.tar'],
    ]) {
      const { log } = await runHere(argv, env(), { signal: AbortSignal.abort() });
      const line = argv.join(' ').replace('my models.tar', "'my models.tar'");
      expect(log.at(-1)?.msg)
        .to.match(/^Interrupted\. /)
        .and.include(`run: heimdex-downloader ${line}`);
    }
  });

  it('is in the metrics file with what was fetched before it, also for wrong settings', async () => {
    const path = join(dir.path, 'metrics');
    const metrics = async (more: NodeJS.ProcessEnv) => {
      const { status } = await runHere(['--metrics-file', path], env(more));
      expect(status).to.be.above(0);
      return readFile(path, 'utf8');
    };
    expect(await metrics({ HF_ENDPOINT: 'ftp://x' })).to.include('exit_status{command="download"} 2');
    damage();
    const text = await metrics({ DOWNLOAD_FILES: '1' });
    expect(text)
      .to.include('exit_status{command="download"} 7')
      .and.match(/_retries\{command="download"\} [1-9]/)
      .and.match(/_fetched_bytes\{command="download"\} [1-9]\d{5}/)
      .and.match(/_fetched_files\{command="download"\} [1-9]/);
    expect(await metrics({ ASR_MODEL: 'acme/missing' })).to.match(/_fetched_files\{command="download"\} 0/);
  });

  it('is written in the format of LOG_FORMAT also for a wrong setting and an unknown command', async () => {
    const human = async (argv: readonly string[], more: NodeJS.ProcessEnv = {}) =>
      (await runHere(argv, env({ LOG_FORMAT: 'human', ...more }))).stderr;
    expect(await human([], { HF_ENDPOINT: 'nowhere' })).to.match(/^error: A setting is wrong:\n {2}HF_ENDPOINT /);
    expect(await human(['dowload'])).to.match(/^error: Unknown command/);
    expect(JSON.parse(await human([], { LOG_LEVEL: 'loud' }))).to.include({ code: 'ENVIRONMENT_INVALID' });
  });

  it('for a compressed archive says how to decompress it', async () => {
    await filled();
    const tar = await runHere(['export', '-'], env());
    await writeFile(join(dir.path, 'models.tgz'), gzipSync(tar.stdoutBytes));
    expect(await failure(7, ['import', join(dir.path, 'models.tgz')])).to.include(
      'gunzip -c FILE | heimdex-downloader import -',
    );
  });

  it('for an export to a terminal comes before a byte of it', async () => {
    await filled();
    const stdout = Object.assign(new PassThrough(), { isTTY: true });
    const stderr = new PassThrough();
    const { signal } = new AbortController();
    const status = await run({ argv: ['export', '-'], env: env(), stdin: Readable.from([]), stdout, stderr, signal });
    expect([status, stdout.read()]).to.deep.equal([2, null]);
    expect(String(stderr.read())).to.include('Redirect it');
  });

  it('for an export whose reader is gone is no success: exit 6', async () => {
    await filled();
    const gone = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    const stdout = new Writable({ write: (_chunk, _encoding, done) => done(gone) }).on('error', () => {});
    const stderr = new PassThrough();
    const { signal } = new AbortController();
    const status = await run({ argv: ['export', '-'], env: env(), stdin: Readable.from([]), stdout, stderr, signal });
    expect(status).to.equal(6);
    expect(String(stderr.read())).to.include('DISK_FAILED').and.include('EPIPE').and.not.include('Exported');
  });

  it('for a variant that does not exist names each one once', async () => {
    const said = await failure(2, ['plan'], { ASR_MODEL: 'acme/speech:fp8' });
    expect(said.match(/acme\/speech:fp16/g)).to.have.length(1);
  });

  it('for a metrics file that cannot be written names the option', async () => {
    await filled();
    const path = join(dir.path, 'metrics');
    await mkdir(path);
    expect(await failure(6, ['--metrics-file', path]))
      .to.include(path)
      .and.include('--metrics-file');
  });

  it('of the volume names the command that met it', async () => {
    await symlink('cache', cache);
    expect(await failure(6, ['list']))
      .to.include(cache)
      .and.match(/run: heimdex-downloader list$/);
  });
});
