import { execFile, execFileSync } from 'node:child_process';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { lastLine, type ProgramResult, runHere } from './support/program.js';
import { useHub } from './support/use-hub.js';

const execute = promisify(execFile);
/** Runs the program with each list of arguments and its environment in one process, which has the mount, and prints the results. */
const RUNS = `
const { runHere } = await import(${JSON.stringify(new URL('./support/program.js', import.meta.url))});
const results = [];
for (const { argv, env } of JSON.parse(process.argv[1])) results.push(await runHere(argv, env));
process.stdout.write(JSON.stringify(results));`;
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

    type Run = readonly [argv: readonly string[], more?: NodeJS.ProcessEnv];

    async function mounted(...runs: readonly Run[]): Promise<readonly ProgramResult[]> {
      const asked = JSON.stringify(runs.map(([argv, more]) => ({ argv, env: env(more) })));
      const node = [process.execPath, '--input-type=module', '-e', RUNS, asked];
      const { stdout } = await execute('unshare', ['-rm', 'sh', '-c', READ_ONLY, cache, ...node]);
      return JSON.parse(stdout);
    }

    it('and empty, is reported: exit 6, for each variable that may name it', async () => {
      const below = [{}, { HF_HUB_CACHE: join(cache, 'some/where') }, { HF_HUB_CACHE: '', HF_HOME: cache }];
      const results = await mounted(...below.map((more): Run => [[], more]));
      expect(results).to.have.length(3);
      for (const result of results) expectRefused(result, cache, /EROFS.*mounted read-only/);
      expect(await readdir(cache)).to.deep.equal([]);
    });

    async function expectRefusedThere(argv: readonly string[], reason: RegExp, command?: string): Promise<void> {
      const [result] = await mounted([argv]);
      if (result === undefined) throw new Error('nothing ran');
      expectRefused(result, cache, reason, command);
    }

    it('and lacks a model or a file of one, is reported: exit 6', async () => {
      await filled();
      await rm(join(cache, 'models--acme--speech/blobs'), { recursive: true });
      await expectRefusedThere([], /EROFS.*mounted read-only/);
      await rm(join(cache, 'models--acme--speech'), { recursive: true });
      await expectRefusedThere([], /EROFS.*mounted read-only/);
    });

    it('and whole, is enough for download, verify and list', async () => {
      await filled();
      const results = await mounted([[]], [['verify']], [['list']]);
      expect(results).to.have.length(3);
      for (const { status, stderr } of results) expect(status, stderr).to.equal(0);
    });

    it('cannot be pruned, imported into or exported into: exit 6', async () => {
      await filled();
      const archive = join(dir.path, 'models.tar');
      expect((await runHere(['export', archive], env())).status).to.equal(0);
      await expectRefusedThere(['export', join(cache, 'models.tar')], /EROFS/, 'export');
      const none = { ASR_MODEL: 'none' };
      const pruned = await mounted([['prune', '--yes'], none], [['prune', '--yes', '--json'], none]);
      expect(pruned).to.have.length(2);
      for (const result of pruned) {
        expectRefused(result, cache, /EROFS/, 'prune');
        expect(result.stdout).to.equal('');
      }
      await rm(join(cache, 'models--acme--speech'), { recursive: true });
      await expectRefusedThere(['import', archive], /EROFS/, 'import');
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
