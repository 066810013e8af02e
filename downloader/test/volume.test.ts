import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { promises } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@heimdex/common';
import { expect } from 'chai';
import { asDiskError } from '../src/disk.js';
import { HashThread } from '../src/transfer/hash-thread.js';
import { auditRepository } from './support/audit.js';
import { runChild, startChild } from './support/child.js';
import { lastLine, runHere } from './support/program.js';
import { DECODER, ENCODER, SPEECH_REPOSITORY, speechRepository } from './support/repositories.js';
import { useHub } from './support/use-hub.js';
import { whenTrue } from './support/volume.js';

const PROGRAM = fileURLToPath(new URL('../../bin/heimdex-downloader.js', import.meta.url));

describe('a volume', () => {
  const { dir, hub, env, ok, filled } = useHub({ repositories: [speechRepository({ encoderBytes: 3_000_000 })] });
  let repo: string;

  beforeEach(async () => {
    repo = join(dir.path, 'cache', 'models--acme--speech');
  });

  const bytesSent = (file: string) =>
    hub.requests.filter({ kind: 'bytes', file }).reduce((sum, request) => sum + request.bytesSent, 0);

  it('without room for the plan is refused before the first byte: exit 6', async () => {
    hub.faults.add({ on: { kind: 'tree' }, do: { type: 'lie-size', deltaBytes: 1_000_000_000_000_000 } });
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(6);
    expect(lastLine(result)).to.include({ code: 'DISK_FULL' });
    expect(lastLine(result).msg).to.match(/TB are to be fetched and 16\.8 MB kept free, .* too little/);
    const planned = await runHere(['plan'], env());
    expect(planned.status, planned.stderr).to.equal(0);
    expect(planned.log.some(({ level, msg }) => level === 'warn' && msg.includes('too little'))).to.equal(true);
    expect(hub.requests.filter({ kind: 'bytes' })).to.deep.equal([]);
  });

  it('that refuses bytes midway keeps what has come, and the next run resumes: exit 6', async () => {
    // A limit on the size of a file is a disk that is full for large files alone, and needs no mount.
    const limited = `trap '' XFSZ; ulimit -f 4000; exec "$0" "$@"`;
    const child = spawn('/bin/sh', ['-c', limited, process.execPath, PROGRAM], {
      env: { ...env({ DOWNLOAD_CONNECTIONS: '1' }), PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(status, stderr).to.equal(6);
    expect(stderr).to.match(
      /DISK_FULL.*ulimit -f allows \(EFBIG\)\. Bytes received so far are kept: .* run: heimdex-downloader download"/,
    );
    expect(await auditRepository(repo, [ENCODER, DECODER])).to.deep.equal([]);
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect(bytesSent(ENCODER)).to.be.within(900_000, 1_400_000);
  });

  for (const argv of [['plan'], [], ['import']]) {
    it(`whose blobs are a link out of the cache is refused by the link's name: ${argv[0] ?? 'download'}`, async () => {
      const disk = join(dir.path, 'disk');
      const tar = join(dir.path, 'models.tar');
      await filled();
      await ok(['export', tar]);
      await rename(join(repo, 'blobs'), disk);
      await symlink(disk, join(repo, 'blobs'));
      const result = await runHere(argv[0] === 'import' ? ['import', tar] : argv, env());
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'PATH_UNSAFE' });
      expect(lastLine(result).msg).to.include(`${join(repo, 'blobs')} is a link to ${disk}`);
      expect(await readdir(join(dir.path, 'cache'))).to.include('models.lock.json');
    });
  }

  // FAT and CIFS refuse links, rclone and VirtualBox under other names, and sshfs does not read those with `..` in them.
  const REFUSALS = [
    { call: 'symlink', code: 'EPERM' },
    { call: 'symlink', code: 'EIO' },
    { call: 'symlink', code: 'EROFS' },
    { call: 'readlink', code: 'EPERM' },
  ] as const;
  for (const { call, code } of REFUSALS) {
    it(`without symbolic links is refused before the first byte: exit 6, ${call} gives ${code}`, async () => {
      const tar = join(dir.path, 'models.tar');
      const empty = { HF_HUB_CACHE: join(dir.path, 'empty') };
      await filled();
      await ok(['export', tar]);
      hub.requests.clear();
      const restore = refuse(call, code);
      try {
        for (const argv of [[], ['import', tar]]) {
          const result = await runHere(argv, env(empty));
          expect(result.status, result.stderr).to.equal(6);
          const { msg } = lastLine(result);
          expect(msg).to.include('no symbolic links').and.include(empty.HF_HUB_CACHE).and.not.include('user');
          expect(msg).to.match(argv.length === 0 ? /heimdex-downloader download$/ : /heimdex-downloader import/);
        }
      } finally {
        restore();
      }
      expect(hub.requests.filter({ kind: 'bytes' })).to.deep.equal([]);
      expect((await readdir(empty.HF_HUB_CACHE)).filter((name) => name.startsWith('models'))).to.deep.equal([]);
    });
  }

  for (const [command, call] of [
    ['list', 'readlink'],
    ['verify', 'realpath'],
  ] as const) {
    it(`whose links a mount does not let be read is no matter of owner and mode: ${command}`, async () => {
      await filled();
      const restore = refuse(call, 'EPERM');
      try {
        const result = await runHere([command], env());
        expect(result.status, result.stderr).to.equal(6);
        expect(lastLine(result).msg)
          .to.include('sshfs: no_contain_symlinks')
          .and.not.match(/owner|user|755/);
      } finally {
        restore();
      }
    });
  }

  it('never has a half-written file in refs, where every file is a branch for other programs', async () => {
    const { rename: before } = promises;
    const places: string[] = [];
    const set = (value: typeof before) => {
      Object.assign(promises, { rename: value });
      syncBuiltinESMExports();
    };
    set((from, to) => {
      if (basename(String(to)) === 'main') places.push(dirname(String(from)));
      return before(from, to);
    });
    try {
      await ok();
    } finally {
      set(before);
    }
    expect(places).to.deep.equal([join(dir.path, 'cache')]);
  });

  it('that cannot be written is an error that names the path: exit 6', async () => {
    await writeFile(join(dir.path, 'cache'), 'a file where the directory should be');
    const result = await runHere([], env());
    expect(result.status, result.stderr).to.equal(6);
    expect(lastLine(result).msg).to.include(join(dir.path, 'cache'));
  });

  it('that cannot be read is an error of list that does not speak of writing: exit 6', async () => {
    await symlink('cache', join(dir.path, 'cache'));
    const result = await runHere(['list'], env());
    expect(result.status, result.stderr).to.equal(6);
    expect(lastLine(result).msg).to.include(`${join(dir.path, 'cache')} cannot be used: ELOOP`);
  });

  it('is filled once by two downloaders at the same time: one fetches, the other finds it done', async () => {
    const results = await Promise.all([runChild([], env()), runChild([], env())]);
    for (const { status, stderr } of results) expect(status, stderr).to.equal(0);
    expect(bytesSent(ENCODER)).to.equal(3_000_000);
    expect(bytesSent(DECODER)).to.equal(400_000);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('whose lock a dead process held is acquired at once', async () => {
    hub.faults.add({ on: { kind: 'bytes', file: ENCODER }, do: { type: 'stall', atByte: 100_000 } });
    const child = startChild([], env({ DOWNLOAD_STALL_SECONDS: '60' }));
    await whenTrue(async () => hub.requests.filter({ kind: 'bytes', file: ENCODER }).length > 0);
    child.process.kill('SIGKILL');
    await child.ended;
    hub.faults.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
  });

  it('that has space and no inodes left is an error that says so', () => {
    const full = Object.assign(new Error('ENOSPC: open'), { code: 'ENOSPC', syscall: 'open', path: '/volume/x' });
    expect(asDiskError(full)).to.include({ code: 'DISK_FULL' });
    expect(messageOf(asDiskError(full))).to.match(/ENOSPC.* df -i .* run: heimdex-downloader download$/);
  });

  // As of a FUSE daemon that is gone, an NFS server that does not answer, and a damaged file system: none names a path.
  for (const code of ['ENOTCONN', 'ETIMEDOUT', 'EUCLEAN']) {
    it(`that fails while a file is written is the disk's error, and not a bug: ${code}`, () => {
      const failed = Object.assign(new Error(`${code}: write`), { code, syscall: 'write' });
      expect(asDiskError(failed, '/volume/blobs/x')).to.include({ code: 'DISK_FAILED' });
      expect(asDiskError(failed)).to.equal(failed);
    });
  }

  // Node.js throws them so.
  for (const [number, code, name] of [
    [constants.errno.EDQUOT, 'DISK_FULL', 'EDQUOT'],
    [constants.errno.ESTALE, 'DISK_FAILED', 'ESTALE'],
    [117, 'DISK_FAILED', 'Unknown system error -117'],
  ] as const) {
    it(`that fails by an error which has no name in Node.js is not a bug: ${name}`, () => {
      const unnamed = `Unknown system error -${number}`;
      const failed = Object.assign(new Error(`${unnamed}: ${unnamed}, write`), { code: unnamed, syscall: 'write' });
      const error = asDiskError(failed, '/volume/blobs/x');
      expect(error).to.include({ code });
      expect(messageOf(error)).to.match(new RegExp(code === 'DISK_FULL' ? `\\(${name}\\)` : `: ${name}, write\\.`));
    });
  }

  it("that fails while a large file is hashed is the disk's error too", async () => {
    const hashing = new HashThread();
    const path = join(dir.path, 'gone');
    const failed = await hashing.open({ path, type: 'sha256', sizeBytes: 1e9 }).catch((error: unknown) => error);
    await hashing.close();
    expect(asDiskError(failed, path)).to.include({ code: 'DISK_FAILED' });
  });

  it('is left in order by Ctrl-C, and the next run resumes: exit 130', async () => {
    hub.faults.add({ on: { kind: 'bytes', file: ENCODER }, do: { type: 'stall', atByte: 2_000_000 } });
    const child = startChild([], env({ DOWNLOAD_STALL_SECONDS: '60', DOWNLOAD_CONNECTIONS: '1' }));
    await whenTrue(async () => bytesSent(ENCODER) >= 1_950_000);
    child.process.kill('SIGINT');
    const { status, stderr } = await child.ended;
    expect(status, stderr).to.equal(130);
    expect(stderr).to.include('to resume, run: heimdex-downloader download');
    hub.faults.clear();
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect(bytesSent(ENCODER)).to.be.lessThan(1_300_000);
  });

  for (const [umask, mode] of [
    ['077', '755'],
    ['002', '775'],
  ]) {
    it(`gets modes that another user can read, and directories that a group can share: umask ${umask}`, async () => {
      const child = spawn('/bin/sh', ['-c', `umask ${umask}; exec "$0" "$@"`, process.execPath, PROGRAM], {
        env: { ...env(), PATH: process.env.PATH },
        stdio: 'ignore',
      });
      const [status] = await once(child, 'close');
      expect(status).to.equal(0);
      const cache = join(dir.path, 'cache');
      for (const name of await readdir(cache, { recursive: true })) {
        const info = await stat(join(cache, name));
        if (name.startsWith('.locks') && !info.isDirectory()) continue;
        expect((info.mode & 0o777).toString(8), name).to.equal(info.isDirectory() ? mode : '644');
      }
    });
  }

  it('that is mounted read-only and whole needs nothing', async function () {
    await filled();
    await rm(join(dir.path, 'cache', 'models.lock.json'));
    const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"';
    const own = ['-rm', 'sh', '-c'];
    const cache = join(dir.path, 'cache');
    const probe = spawn('unshare', [...own, mount, cache], { stdio: 'ignore' });
    const [possible] = await Promise.race([once(probe, 'close'), once(probe, 'error').then(() => [1])]);
    if (possible !== 0) {
      console.log('      No mount of its own for a process here: a read-only volume is not tested.');
      this.skip();
    }
    const child = spawn('unshare', [...own, `${mount} && exec "$1" "$2"`, cache, process.execPath, PROGRAM], {
      env: { ...env(), PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(status, stderr).to.equal(0);
    expect(stderr).to.include('the lock file could not be written');
  });

  it('keeps what an older commit had, and its files stay readable', async () => {
    await filled();
    const old = hub.commit(SPEECH_REPOSITORY).sha;
    await hub.publish(speechRepository({ seed: 'two' }));
    expect((await runHere(['update'], env())).status).to.equal(0);
    expect(await readFile(join(repo, 'snapshots', old, 'config.json'), 'utf8')).to.equal('{"seed":"one"}');
    expect(await readFile(join(repo, 'refs', 'main'), 'utf8')).to.equal(hub.commit(SPEECH_REPOSITORY).sha);
  });

  it('whose blob is a link into a shared store is used as it is', async () => {
    await filled();
    const oid = hub.commit(SPEECH_REPOSITORY).files.get(ENCODER)?.lfsOid ?? '';
    const shared = join(dir.path, 'cache', 'blobs', oid.slice(0, 2));
    await mkdir(shared, { recursive: true });
    await rename(join(repo, 'blobs', oid), join(shared, oid));
    await symlink(`../../blobs/${oid.slice(0, 2)}/${oid}`, join(repo, 'blobs', oid));
    hub.requests.clear();
    expect((await runHere([], env())).status).to.equal(0);
    expect((await runHere(['verify'], env())).status).to.equal(0);
    expect(hub.requests.count).to.equal(0);
  });
});

/** Refuses a call about links as the kernel does for a mount, which is not at hand: Node.js does it. Returns what ends that. */
function refuse(call: 'symlink' | 'readlink' | 'realpath', code: string): () => void {
  const { [call]: before } = promises;
  const set = (value: unknown) => {
    Object.assign(promises, { [call]: value });
    syncBuiltinESMExports();
  };
  set(() => Promise.reject(Object.assign(new Error(`${code}: ${call}`), { code, syscall: call })));
  return () => set(before);
}
