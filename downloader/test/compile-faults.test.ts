import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { hashFile, readCompiledModels, scanCompiled } from '@heimdex/cache';
import { bertShapes, type Hub, randomTensors, safetensorsFile, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository } from './support/checkpoints.js';
import { type Child, startChild } from './support/child.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { seededRandom } from './support/seeded.js';
import { temporaryDir, whenTrue } from './support/volume.js';

const PROGRAM = fileURLToPath(new URL('../../bin/heimdex-downloader.js', import.meta.url));
const NAME = 'acme/german-bert';
/** Kills in all, spread evenly over a run; HEIMDEX_TEST_KILLS=100 for a long run. */
const KILLS = Number(process.env.HEIMDEX_TEST_KILLS ?? 20);

describe('a compile', function () {
  this.timeout(240_000);
  const dir = temporaryDir();
  let hub: Hub;
  let env: NodeJS.ProcessEnv;
  let cache: string;
  /** A volume on which the checkpoint lies, compiled, made once and copied for each test. */
  let template: string;

  before(async () => {
    const broken = bertRepository({ name: 'acme/broken' });
    const size = { width: 64, inner: 128, layers: 1, vocabulary: 500, positions: 64, types: 2 };
    const nan = randomTensors(bertShapes(size));
    nan.find(({ name }) => name === 'embeddings.word_embeddings.weight')?.values.fill(Number.NaN, 7, 8);
    hub = await startHub({
      repositories: [
        // Layers enough that a compile has many moments to be killed in.
        bertRepository({ layers: 3 }),
        {
          name: 'acme/broken',
          files: broken.files.map((file) =>
            file.path === 'model.safetensors' ? { path: file.path, bytes: safetensorsFile(nan) } : file,
          ),
        },
        {
          name: 'acme/evil',
          files: [
            ...broken.files.filter(({ path }) => path !== 'model.safetensors'),
            // What a pickle would run: os.system('touch ran-by-pickle').
            { path: 'pytorch_model.bin', bytes: EVIL },
          ],
        },
      ],
    });
    template = await mkdtemp(join(tmpdir(), 'heimdex-checkpoint-'));
    volume(template);
    const result = await runHere([], env);
    expect(result.status, result.stderr).to.equal(0);
  });
  after(async () => {
    await hub.close();
    await rm(template, { recursive: true });
  });

  function volume(path: string): void {
    cache = join(path, 'cache');
    env = testEnvironment(path, hub.url, {
      ASR_MODEL: 'none',
      LOAD_BGE_M3: 'true',
      TEXT_MODEL_NAME: NAME,
    });
  }

  /** Gives the test a copy of the volume with the checkpoint, of which nothing is compiled. */
  async function filled(): Promise<void> {
    await filledAndCompiled();
    await rm(join(cache, '.compiled'), { recursive: true });
    await rm(join(cache, 'models.lock.json'));
  }

  async function filledAndCompiled(): Promise<void> {
    const path = join(dir.path, 'filled');
    await rm(path, { recursive: true, force: true });
    await cp(template, path, { recursive: true, verbatimSymlinks: true });
    volume(path);
  }

  /** Anything that a reader could take for a whole compiled model and that is not. */
  async function wrongOnes(): Promise<string[]> {
    const wrong: string[] = [];
    for (const { path, manifest } of await readCompiledModels(cache, NAME)) {
      for (const { name, sha256 } of manifest.graphs.flatMap(({ files }) => files)) {
        const actual = await hashFile('sha256', join(path, name)).catch(String);
        if (actual !== sha256) wrong.push(`${name}: ${actual}`);
      }
    }
    return wrong;
  }

  const temporaries = async () => (await scanCompiled(cache)).filter(({ isTemporary }) => isTemporary);

  /** Waits until a compile is under way, by what it writes. */
  async function underWay(child: Child): Promise<void> {
    await whenTrue(async () => child.process.exitCode !== null || (await temporaries()).length > 0);
  }

  it('that is killed at any moment leaves nothing that is taken for whole, and the next run ends well', async () => {
    await filled();
    const startedMs = performance.now();
    await startChild([], env).ended;
    let wholeMs = performance.now() - startedMs;
    const random = seededRandom(5);
    let killed = 0;
    for (let round = 0; killed < KILLS; round += 1) {
      expect(round).to.be.lessThan(KILLS * 10);
      await rm(join(cache, '.compiled'), { recursive: true, force: true, maxRetries: 5 });
      await rm(join(cache, 'models.lock.json'), { force: true });
      const child = startChild([], env);
      const limitMs = (0.3 + (0.7 * ((round % KILLS) + random())) / KILLS) * wholeMs;
      const fromMs = performance.now();
      const timer = setInterval(() => {
        if (performance.now() - fromMs >= limitMs) child.process.kill('SIGKILL');
      }, 1);
      const { status, stderr } = await child.ended;
      expect(stderr, 'a stack of the process that compiled').not.to.match(/^ +at /m);
      clearInterval(timer);
      expect(await wrongOnes(), `seed 5, kill ${killed}`).to.deep.equal([]);
      if (status !== null) {
        // On a machine that was busier before, a run takes less time than the first, and would often end before its kill.
        wholeMs = Math.min(wholeMs, performance.now() - fromMs);
        continue;
      }
      killed += 1;
      if (killed % 5 !== 0) continue;
      const last = await runHere([], env);
      expect(last.status, last.stderr).to.equal(0);
      expect((await runHere(['verify'], env)).status).to.equal(0);
      // What the killed ones left went with the next compile.
      expect(await temporaries()).to.deep.equal([]);
    }
  });

  it('ends within moments of SIGTERM with exit 130 and leaves nothing', async () => {
    await filled();
    const child = startChild([], env);
    await underWay(child);
    child.process.kill('SIGTERM');
    const { status, stderr } = await child.ended;
    expect(status, stderr).to.equal(130);
    expect(await scanCompiled(cache)).to.deep.equal([]);
  });

  /** A run whose compiler was killed; it may have ended by itself before, and then there is another run. */
  async function withoutCompiler(): Promise<Awaited<Child['ended']>> {
    for (;;) {
      await filled();
      const child = startChild([], env);
      await underWay(child);
      const compiler = await childOf(child.process.pid ?? 0);
      if (await isRunning(compiler)) process.kill(compiler, 'SIGKILL');
      const ended = await child.ended;
      if (ended.status !== 0) return ended;
    }
  }

  it('whose process dies is reported, and leaves nothing', async () => {
    const { status, stderr } = await withoutCompiler();
    expect(status, stderr).to.equal(1);
    expect(stderr).to.include('COMPILE_FAILED').and.include('SIGKILL').and.include('500 MB');
    expect(await scanCompiled(cache)).to.deep.equal([]);
  });

  it('whose process cannot be started is not called an error of the volume', async () => {
    await filled();
    const { execPath } = process;
    process.execPath = join(dir.path, 'no-node');
    try {
      const result = await runHere([], env);
      expect(result.status, result.stderr).to.equal(1);
      expect(lastLine(result)).to.include({ code: 'COMPILE_FAILED' });
    } finally {
      process.execPath = execPath;
    }
  });

  it('whose starter is killed ends too', async () => {
    await filled();
    const child = startChild([], env);
    await underWay(child);
    const compiler = await childOf(child.process.pid ?? 0);
    child.process.kill('SIGKILL');
    await child.ended;
    await whenTrue(async () => !(await isRunning(compiler)));
  });

  it('on a full volume ends with exit 6 and leaves nothing', async () => {
    await filled();
    // A limit on the size of a file is a disk that is full for large files alone, and needs no mount: in blocks of 512 bytes.
    const limited = `trap '' XFSZ; ulimit -f 100; exec "$0" "$@"`;
    const child = spawn('/bin/sh', ['-c', limited, process.execPath, PROGRAM], {
      env: { ...env, PATH: process.env.PATH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [stderr, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect(status, stderr).to.equal(6);
    expect(stderr).to.match(/DISK_FULL.*\/\.compiled\/\S+ is larger than/);
    expect(await scanCompiled(cache)).to.deep.equal([]);
    expect((await runHere([], env)).status).to.equal(0);
  });

  it('on a volume without room for another file calls it full: exit 6', async function () {
    await filled();
    const compiled = join(cache, '.compiled');
    await mkdir(compiled);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=2', 'tmpfs', compiled]);
    if (mounted.status !== 0) this.skip();
    try {
      const result = await runHere([], env);
      expect(result.status, result.stderr).to.equal(6);
      expect(lastLine(result)).to.include({ code: 'DISK_FULL' });
    } finally {
      spawnSync('umount', [compiled]);
    }
  });

  it('that would not fit beside its checkpoint is refused before the first byte is fetched: exit 6', async function () {
    volume(join(dir.path, 'small'));
    const { stdout } = await runHere(['plan', '--json'], env);
    const { fetch, costs } = JSON.parse(stdout) as { fetch: { bytes: number }; costs: { peakBytes: number } };
    // Room for the files and what is always kept free, but not for the graphs.
    const roomBytes = 16 * 1024 * 1024 + Math.round((fetch.bytes + costs.peakBytes) / 2);
    await mkdir(cache, { recursive: true });
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${roomBytes}`, 'tmpfs', cache]);
    if (mounted.status !== 0) this.skip();
    try {
      hub.requests.clear();
      const result = await runHere([], env);
      expect(result.status, result.stderr).to.equal(6);
      const line = lastLine(result);
      expect(line).to.include({ code: 'DISK_FULL' });
      expect(line.msg).to.match(
        /are to be fetched and compiled and 16\.8 MB kept free, but the volume of .* has only .* free: .* too little/,
      );
      expect(hub.requests.filter({ kind: 'bytes', file: 'model.safetensors' })).to.deep.equal([]);
    } finally {
      spawnSync('umount', [cache]);
    }
  });

  it('of two concurrent programs is done once', async () => {
    await filled();
    const results = await Promise.all([startChild([], env).ended, startChild([], env).ended]);
    for (const { status, stderr } of results) expect(status, stderr).to.equal(0);
    const compiledBy = results.filter(({ stderr }) => stderr.includes('"event":"compiled"'));
    expect(compiledBy).to.have.length(1);
    expect(await wrongOnes()).to.deep.equal([]);
  });

  for (const [name, what] of [
    ['acme/broken', /NaN in tensor embeddings\.word_embeddings\.weight at element 7/],
    ['acme/evil', /it asks for (os|posix)\.system. Nothing of it was run/],
  ] as const) {
    it(`of a checkpoint that must not be used is refused, and leaves nothing: ${name}`, async () => {
      volume(join(dir.path, 'refused'));
      const result = await runHere([], { ...env, TEXT_MODEL_NAME: name });
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
      expect(lastLine(result).msg).to.match(what);
      expect(await scanCompiled(cache)).to.deep.equal([]);
      for (const path of [process.cwd(), cache]) expect(await readdir(path)).not.to.include('ran-by-pickle');
    });
  }

  /** Changes one bit of the checkpoint on the volume, in place: a compiler that reads it meanwhile never finds it cut off. */
  async function changeCheckpoint(): Promise<void> {
    const snapshot = join(cache, 'models--acme--german-bert', 'snapshots', hub.commit(NAME).sha);
    const path = join(snapshot, 'model.safetensors');
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 1, bytes.length - 9);
    await writeFile(path, bytes, { flag: 'r+' });
  }

  it('of a file that changes meanwhile leaves nothing: its hash was that of other bytes', async () => {
    let stderr = '';
    // It may have ended before the change; then there is another run.
    for (let round = 0; round < 5 && !stderr.includes('"failed"'); round += 1) {
      await filled();
      const child = startChild([], env);
      await underWay(child);
      await changeCheckpoint();
      ({ stderr } = await child.ended);
    }
    expect(stderr).to.include('"COMPILE_FAILED"').and.include(' was written to while it was compiled.');
    expect(await scanCompiled(cache)).to.deep.equal([]);
  });

  it('of a file that has changed on the volume is refused by its hash', async () => {
    await filled();
    await changeCheckpoint();
    const result = await runHere([], env);
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'HASH_MISMATCH' });
    expect(await scanCompiled(cache)).to.deep.equal([]);
  });

  it('ignores a directory of another compiler version and an incomplete copy', async () => {
    await filledAndCompiled();
    const [model] = await readCompiledModels(cache, NAME);
    if (model === undefined) throw new Error('nothing is compiled');
    const copy = join(model.path, '..', 'f'.repeat(32));
    await cp(model.path, copy, { recursive: true });
    await rm(join(model.path, 'compiled.json'));
    await mkdir(join(model.path, '..', '0'.repeat(32)));
    // The copy's name is not what its compiled.json gives; the other ones have none.
    expect(await readCompiledModels(cache, NAME)).to.deep.equal([]);
    const again = await runHere([], env);
    expect(again.status, again.stderr).to.equal(0);
    expect(await readCompiledModels(cache, NAME)).to.have.length(1);
  });
});

const EVIL = Buffer.from('\x80\x02cos\nsystem\nX\x15\0\0\0touch ran-by-pickle  \x85R.', 'latin1');

/** The process that compiles: the only child of the program. 0 where the program ended without one. */
async function childOf(parent: number): Promise<number> {
  let found = 0;
  await whenTrue(async () => {
    for (const name of (await readdir('/proc')).filter((one) => /^\d+$/.test(one))) {
      const stat = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) found = Number(name);
    }
    return found !== 0 || !(await isRunning(parent));
  });
  return found;
}

async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && !['Z', 'X'].includes(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
}
