import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { type FileHandle, mkdtemp, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { optimizedDir } from '@heimdex/cache';
import { expect } from 'chai';
import { pino } from 'pino';
import { readConfig } from '../../src/config/config.js';
import { FatalError } from '../../src/exit-codes.js';
import { prepare as runPrepare } from '../../src/prepare.js';
import { runHere, runProgram, type ServerProcess, startProgram } from '../fixtures/server-process.js';
import { DEMO_MODELS, makeVolume, type Volume } from '../fixtures/volume.js';
import { answers, formDirs, MAKE, prepare, SIGLIP, VISION_ONLY } from './forms.js';

describe('a lock file that cannot be written', () => {
  it('is an error of prepare: unrecorded models would not be used', async () => {
    const volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      const lock = join(volume.cacheDir, 'models--heimdex--siglip-pocket/refs/main/models.lock.json');
      const env = { HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY, MODELS_LOCK: lock };
      const { code, stderr } = await runHere(env, ['prepare', '--min-mb', '0']);
      expect(code, stderr).to.equal(3);
      expect(stderr).to.include('MODELS_LOCK');
    } finally {
      await volume.remove();
    }
  });
});

describe('a volume prepared with a strict umask', () => {
  it('can be read by another user', async () => {
    const volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      const umask = process.umask(0o077);
      try {
        await prepare(volume, VISION_ONLY);
      } finally {
        process.umask(umask);
      }
      const root = optimizedDir(volume.cacheDir);
      const made = [root, ...(await readdir(root, { recursive: true })).map((name) => join(root, name))];
      expect(made.length).to.be.greaterThan(4);
      for (const path of [...made, join(volume.cacheDir, 'models.lock.json')]) {
        const info = await stat(path);
        const wanted = info.isDirectory() ? 0o755 : 0o644;
        expect((info.mode & 0o777).toString(8), path).to.equal(wanted.toString(8));
      }
    } finally {
      await volume.remove();
    }
  });
});

describe('prepare', () => {
  it('that is interrupted while it saves its only model reports it, and leaves nothing', async () => {
    const volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      const config = readConfig({ HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY, VERIFY_MODELS: 'quick' });
      const controller = new AbortController();
      const { signal: stop } = controller;
      const options = { config, log: pino({ level: 'silent' }), minBytes: 0, all: true, stop };
      const running = runPrepare(options).catch((reason: unknown) => reason);
      while ((await formDirs(volume).catch(() => [])).length === 0) await delay(10);
      controller.abort();
      expect(await running)
        .to.be.instanceOf(FatalError)
        .and.include({ reason: 'interrupted' });
      expect(await formDirs(volume)).to.deep.equal([]);
    } finally {
      await volume.remove();
    }
  });
});

describe('what prepare saves', () => {
  it('is on the disk before it is recorded, or a power failure would leave files of the right sizes', async function () {
    if (process.platform !== 'linux') return this.skip();
    const volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    const any = await open(volume.blobOf(SIGLIP, 'config.json'));
    const handles: Pick<FileHandle, 'datasync'> = Object.getPrototypeOf(any);
    const { datasync } = handles;
    const synced: string[] = [];
    handles.datasync = function (this: FileHandle) {
      synced.push(basename(readlinkSync(`/proc/self/fd/${this.fd}`)));
      return datasync.call(this);
    };
    try {
      await answers(volume, VISION_ONLY, [], MAKE);
      expect(new Set(synced)).to.deep.equal(new Set(['model.onnx', 'model.data', 'manifest.json']));
    } finally {
      handles.datasync = datasync;
      await any.close();
      await volume.remove();
    }
  });
});

describe('a prepared volume', () => {
  let volume: Volume;
  let env: Record<string, string>;
  /** Runs a program with the volume mounted read-only; empty where the system does not permit it. */
  let readOnly: readonly string[];
  before(async () => {
    volume = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    env = { HF_HUB_CACHE: volume.cacheDir, ...VISION_ONLY };
    await prepare(volume, VISION_ONLY);
    readOnly = mountedReadOnly(volume.cacheDir);
    try {
      execFileSync('unshare', [...readOnly.slice(1), 'true'], { stdio: 'ignore' });
    } catch {
      console.log('      skipped: mount namespaces are not permitted here');
      readOnly = [];
    }
  });
  after(() => volume.remove());

  describe('that is served', () => {
    let server: ServerProcess;
    before(async () => {
      server = await startProgram({ ...env, WORKERS_VISION: '2' }, { command: readOnly });
    });
    after(() => server?.stop());

    it('is in memory once, with any number of workers', async function () {
      const loaded = (worker: number) => server.logged((line) => line.worker === worker && /^Loaded/.test(line.msg));
      const lines = [await loaded(0), await loaded(1)];
      expect(lines.map(({ model, prepared }) => [model, prepared])).to.deep.equal([
        ['siglip', true],
        ['siglip', true],
      ]);
      const pids = lines.map(({ pid }) => pid);
      const sizes = await Promise.all(pids.map((pid) => mappedBytes(Number(pid), 'model.data')));
      if (sizes.includes(undefined)) {
        console.log('      skipped: this system does not show the pages of a process');
        return this.skip();
      }
      for (const size of sizes) {
        // Two processes share the pages: each counts half of them.
        expect(size?.resident).to.be.greaterThan(1024 * 1024);
        expect(size?.proportional).to.be.lessThan(0.6 * (size?.resident ?? 0));
      }
    });

    it('may be mounted read-only', async function () {
      if (readOnly.length === 0) this.skip();
      const response = await fetch(`${server.url}/heimdex.inference.v1.InferenceService/EmbedText`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"texts":["a red bicycle"]}',
      });
      expect(response.status).to.equal(200);
    });
  });

  it('that is mounted read-only is enough for prepare, which reports what it cannot add', async function () {
    if (readOnly.length === 0) this.skip();
    // Existing models need no write access.
    expect((await runProgram(env, ['prepare', '--min-mb', '0'], readOnly)).code).to.equal(0);
    // A missing one cannot be created.
    const [form = ''] = await formDirs(volume);
    await rename(form, `${form}-away`);
    try {
      const { code, stderr } = await runProgram(env, ['prepare', '--min-mb', '0'], readOnly);
      expect(code, stderr).to.equal(3);
      expect(stderr).to.include('EROFS').and.include('needs write access to the volume');
    } finally {
      await rename(`${form}-away`, form);
    }
  });

  it('without room for optimized models or their records is not said to need write access', async function () {
    if (readOnly.length === 0) this.skip();
    const bare = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    const bareEnv = { ...env, HF_HUB_CACHE: bare.cacheDir };
    const locks = await mkdtemp(join(tmpdir(), 'heimdex-lock-'));
    const lockEnv = { ...bareEnv, MODELS_LOCK: join(locks, 'models.lock.json') };
    try {
      const full = await runProgram(bareEnv, ['prepare', '--min-mb', '0'], withoutInodes(bare.cacheDir));
      expect(full.code, full.stderr).to.equal(0);
      expect(full.stdout.match(/Skipped: the optimized model cannot be created: ENOSPC/g)).to.have.length(2);
      const notRecorded = await runProgram(lockEnv, ['prepare', '--min-mb', '0'], withoutInodes(locks));
      expect(notRecorded.code, notRecorded.stderr).to.equal(3);
      expect(notRecorded.stderr)
        .to.match(/lock file .*ENOSPC.* Free space/)
        .and.not.include('write access');
    } finally {
      await Promise.all([bare.remove(), rm(locks, { recursive: true })]);
    }
  });
});

/** The command that runs another with a directory mounted read-only. */
function mountedReadOnly(dir: string): readonly string[] {
  const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  return ['unshare', '-rm', 'sh', '-c', mount, dir];
}

/** The command that runs another with a copy of a directory in its place, on a file system without a free inode. */
function withoutInodes(dir: string): readonly string[] {
  const fill = 'i=0; while true >/mnt/$i; do i=$((i + 1)); done 2>/dev/null';
  const mount = `mount -t tmpfs -o nr_inodes=100 none /mnt && cp -a "$0/." /mnt && { ${fill}; mount --bind /mnt "$0" && exec "$@"; }`;
  return ['unshare', '-rm', 'sh', '-c', mount, dir];
}

/** PSS of a process's mappings of files with a name, in bytes; undefined if the system does not report it. */
async function mappedBytes(
  pid: number,
  name: string,
): Promise<{ readonly resident: number; readonly proportional: number } | undefined> {
  const text = await readFile(`/proc/${pid}/smaps`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const mappings = text.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).filter((one) => one.split('\n', 1)[0]?.endsWith(name));
  const sum = (field: string) =>
    mappings.reduce((total, one) => total + Number(new RegExp(`^${field}: +(\\d+) kB`, 'm').exec(one)?.[1] ?? 0), 0);
  return { resident: sum('Rss') * 1024, proportional: sum('Pss') * 1024 };
}
