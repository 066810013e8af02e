import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { lastLine, type ProgramResult, runHere } from './support/program.js';
import { useHub } from './support/use-hub.js';

const PROGRAM = fileURLToPath(new URL('../../bin/heimdex-downloader.js', import.meta.url));
/** Runs a command where one directory cannot be written: root may write past every mode, so the directory is mounted read-only. */
const READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';

function mayMount(): boolean {
  try {
    execFileSync('unshare', ['-rm', 'sh', '-c', 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

describe('a volume that cannot be written', () => {
  const { dir, env, filled } = useHub({ scope: 'suite' });
  let cache: string;
  beforeEach(async () => {
    cache = join(dir.path, 'cache');
    await mkdir(cache);
  });

  /** Exit 6, one message that names the path, the reason and what to do, and no stack. */
  function expectRefused(
    { status, stderr }: Pick<ProgramResult, 'status' | 'stderr'>,
    path: string,
    reason: RegExp,
    command = 'download',
  ) {
    expect(status, stderr).to.equal(6);
    expect(stderr).to.include('DISK_FAILED').and.include(path).and.match(reason);
    expect(stderr)
      .to.include(`then run: heimdex-downloader ${command}`)
      .and.not.match(/Internal error|\n\s+at /);
  }

  describe('because it is mounted read-only', () => {
    before(function () {
      if (mayMount()) return;
      console.log('      skipped: mount namespaces are not permitted here');
      this.skip();
    });

    async function mounted(argv: readonly string[], more: NodeJS.ProcessEnv = {}) {
      const command = ['-rm', 'sh', '-c', READ_ONLY, cache, process.execPath, PROGRAM, ...argv];
      const child = spawn('unshare', command, {
        env: { ...env(more), PATH: process.env.PATH },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const [stdout, stderr, [status]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ]);
      return { status: status as number, stdout, stderr };
    }

    it('and empty, is reported: exit 6, for each variable that may name it', async () => {
      const below = [{}, { HF_HUB_CACHE: join(cache, 'some/where') }, { HF_HUB_CACHE: '', HF_HOME: cache }];
      for (const more of below) expectRefused(await mounted([], more), cache, /EROFS.*mounted read-only/);
      expect(await readdir(cache)).to.deep.equal([]);
    });

    it('and lacks a model or a file of one, is reported: exit 6', async () => {
      await filled();
      await rm(join(cache, 'models--acme--speech/blobs'), { recursive: true });
      expectRefused(await mounted([]), cache, /EROFS.*mounted read-only/);
      await rm(join(cache, 'models--acme--speech'), { recursive: true });
      expectRefused(await mounted([]), cache, /EROFS.*mounted read-only/);
    });

    it('and whole, is enough for download, verify and list', async () => {
      await filled();
      for (const argv of [[], ['verify'], ['list']]) {
        const { status, stderr } = await mounted(argv);
        expect(status, stderr).to.equal(0);
      }
    });

    it('cannot be pruned, imported into or exported into: exit 6', async () => {
      await filled();
      const archive = join(dir.path, 'models.tar');
      expect((await runHere(['export', archive], env())).status).to.equal(0);
      expectRefused(await mounted(['export', join(cache, 'models.tar')]), cache, /EROFS/, 'export');
      for (const argv of [
        ['prune', '--yes'],
        ['prune', '--yes', '--json'],
      ]) {
        const pruned = await mounted(argv, { ASR_MODEL: 'none' });
        expectRefused(pruned, cache, /EROFS/, 'prune');
        expect(pruned.stdout).to.equal('');
      }
      await rm(join(cache, 'models--acme--speech'), { recursive: true });
      expectRefused(await mounted(['import', archive]), cache, /EROFS/, 'import');
    });
  });

  it('because a parent is a file, or no directory can exist there, is reported: exit 6', async () => {
    const file = join(dir.path, 'file');
    await writeFile(file, '');
    const cases = [
      [{ HF_HUB_CACHE: '', HF_HOME: file }, file],
      [{ HF_HUB_CACHE: join(file, 'further/below') }, file],
      [{ HF_HUB_CACHE: '/dev/null/cache' }, '/dev/null'],
      ...(process.platform === 'linux' ? ([[{ HF_HUB_CACHE: '/proc/nowhere/cache' }, '/proc']] as const) : []),
    ] as const;
    for (const [more, path] of cases) {
      const result = await runHere([], env(more));
      expectRefused(result, path, /ENOTDIR|EEXIST|ENOENT|EACCES|EPERM/);
      expect(lastLine(result).code).to.equal('DISK_FAILED');
    }
  });
});
