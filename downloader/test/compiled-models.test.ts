import { createHash } from 'node:crypto';
import { chmod, cp, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import {
  COMPILING_PREFIX,
  type CompiledManifest,
  compiledKeyName,
  formatCompiledManifest,
  hashFile,
  readCompiledModels,
} from '@heimdex/cache';
import { expect } from 'chai';
import { lastLine, runHere } from './support/program.js';
import { NAME, useCheckpoints } from './support/use-checkpoints.js';
import { asAnotherUser, flip } from './support/volume.js';

describe('a compiled model', () => {
  const { dir, env, ok, filled, json, snapshot, compiled, bytesAsked, requests } = useCheckpoints();
  let cache: string;
  beforeEach(() => {
    cache = join(dir.path, 'cache');
  });

  it('is verified by its own hashes, and compiled again if a byte is wrong, also in the place of a link to it', async () => {
    await filled();
    const { path } = await compiled();
    await flip(join(path, 'model.onnx_data'));
    await rename(path, join(dir.path, 'moved'));
    await symlink(join(dir.path, 'moved'), path);
    const result = await runHere(['verify'], env());
    expect(result.status).to.equal(7);
    expect(lastLine(result).msg).to.include('compiled/model.onnx_data');
    requests().clear();
    await ok(['download', '--check']);
    await ok(['verify']);
    expect(bytesAsked()).to.deep.equal([]);
  });

  it('is compiled again, without a network, if a file of it is missing, or is a link', async () => {
    await filled();
    const weights = join((await compiled()).path, 'model.onnx_data');
    await rename(weights, join(dir.path, 'weights'));
    const named = `its file compiled/model.onnx_data at ${weights}: there is no regular file`;
    expect(lastLine(await runHere(['verify'], env())).msg).to.include(named);
    await symlink(join(dir.path, 'weights'), weights);
    expect(lastLine(await runHere(['verify'], env())).msg).to.include(named);
    await ok([], { HF_HUB_OFFLINE: '1' });
    await ok(['verify']);
  });

  it("is compiled beside what another user's killed compile left, which stays his to remove", async function () {
    await filled();
    const { path } = await compiled();
    const left = join(path, '..', `${COMPILING_PREFIX}0123`);
    await rm(path, { recursive: true });
    for (const name of ['', ...(await readdir(cache, { recursive: true }))]) {
      const info = await lstat(join(cache, name));
      if (!info.isSymbolicLink()) await chmod(join(cache, name), info.isDirectory() ? 0o777 : 0o666);
    }
    await mkdir(left);
    await writeFile(join(left, 'model.onnx'), 'x');
    for (const above of [dirname(dir.path), dir.path]) await chmod(above, 0o755);
    await asAnotherUser(this, cache, () => ok([], { HF_HUB_OFFLINE: '1' }));
    expect(await readdir(dirname(path))).to.have.members([basename(path), basename(left)]);
  });

  it('is read by download --check also if a small file is missing', async () => {
    await filled();
    await flip(join((await compiled()).path, 'model.onnx_data'));
    await rm(join(snapshot(), 'config.json'));
    await ok(['download', '--check']);
    await ok(['verify']);
  });

  it('has its checkpoint verified with it, and fetched again if a byte is wrong', async () => {
    await filled();
    const weights = join(snapshot(), 'model.safetensors');
    const bytes = await readFile(weights);
    await flip(weights);
    const result = await runHere(['verify'], env());
    expect(result.status).to.equal(7);
    expect(lastLine(result).msg).to.include(weights).and.include('heimdex-downloader download --check');
    const other = { TEXT_MODEL_NAME: `${NAME}:fp32` };
    expect(lastLine(await runHere([], env(other))).msg).to.include('run: heimdex-downloader download --check');
    await ok(['download', '--check'], other);
    expect((await readFile(weights)).equals(bytes)).to.equal(true);
    await ok(['verify'], other);
    await flip(weights);
    expect(lastLine(await ok(['download', '--check'])).msg).not.to.include('compiled');
    await ok(['verify']);
  });

  for (const removed of ['models--acme--german-bert', 'models--acme--german-bert/snapshots']) {
    it(`whose ${removed} Python has removed needs only its small files again`, async () => {
      await filled();
      await rm(join(cache, removed), { recursive: true });
      expect(lastLine(await runHere(['verify'], env())).msg)
        .to.include('tokenizer.json')
        .and.not.include('weights');
      const planned = await json(['plan']);
      expect(planned.models[0].files.map(({ path }: { path: string }) => path)).to.have.members([
        'config.json',
        'tokenizer.json',
      ]);
      const { log } = await ok();
      expect(log.some(({ event }) => event === 'compile')).to.equal(false);
      expect(bytesAsked()).not.to.include('model.safetensors');
      await ok(['verify']);
    });
  }

  it('that another program left the checkpoint of never has it changed', async () => {
    await filled();
    const weights = join(snapshot(), 'model.safetensors');
    await rm(join(cache, '.compiled'), { recursive: true });
    await rm(join(cache, 'models.lock.json'));
    await ok();
    await flip(weights);
    const bytes = await readFile(weights);
    expect((await ok(['verify'])).stdout).to.match(/good, .*; its checkpoint \(\d+ kB\) not read$/m);
    expect(lastLine(await ok(['download', '--check'])).msg).to.match(/^Up to date/);
    expect((await readFile(weights)).equals(bytes)).to.equal(true);
  });

  /** Puts another form of the model beside it, of other bytes, and names it in the lock file if `locked`. */
  const addForm = async (change: Partial<CompiledManifest>, locked: boolean) => {
    const { path, manifest } = await compiled();
    const bytes = await readFile(join(path, 'model.onnx_data'));
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const graphs = manifest.graphs.map((graph) => ({
      ...graph,
      files: graph.files.map((file) => (file.name === 'model.onnx_data' ? { ...file, sha256 } : file)),
    }));
    const made = { ...manifest, ...change, graphs };
    const other = join(path, '..', compiledKeyName(made));
    await cp(path, other, { recursive: true });
    await writeFile(join(other, 'model.onnx_data'), bytes);
    await writeFile(join(other, 'compiled.json'), formatCompiledManifest(made));
    if (!locked) return;
    const lockPath = join(cache, 'models.lock.json');
    const lock = JSON.parse(await readFile(lockPath, 'utf8'));
    lock.models[0].files.find((file: { path: string }) => file.path === 'compiled/model.onnx_data').sha256 = sha256;
    await writeFile(lockPath, JSON.stringify(lock));
  };

  it('that a volume has for CPUs with and without VNNI is the one that the lock file names', async () => {
    await filled();
    const overflowSafe = !(await compiled()).manifest.overflowSafe;
    // The one for any CPU, as a machine without VNNI has compiled and locked it last.
    await addForm({ overflowSafe }, overflowSafe);
    await ok(['verify']);
    expect(lastLine(await ok(['download', '--check'])).msg).to.match(/^Up to date/);
  });

  it('is used by its own hashes if the lock file names that of another version of the compiler, as during an upgrade', async () => {
    await filled();
    const { path } = await compiled();
    await addForm({ compiler: 1 }, true);
    await ok(['verify']);
    await flip(join(path, 'model.onnx_data'));
    expect((await runHere(['verify'], env())).status).to.equal(7);
    await flip(join(path, 'model.onnx_data'));
    await ok([], { HF_HUB_OFFLINE: '1' });
    const lock = await readFile(join(cache, 'models.lock.json'), 'utf8');
    expect(lock).to.include(await hashFile('sha256', join(path, 'model.onnx_data')));
  });

  it('is listed, next to what can be compiled and is not yet', async () => {
    await filled();
    await mkdir(join(cache, 'whisper'));
    await writeFile(join(cache, 'whisper', 'medium.pt'), 'weights');
    await writeFile(join(cache, 'whisper', 'mine.pt'), 'weights');
    const made = await json(['list']);
    expect(made.compiled[0]).to.deep.include({
      repository: NAME,
      precision: 'int8',
      from: ['model.safetensors'],
      whole: true,
    });
    expect(made.models[0].compilable).to.deep.include({ path: 'model.safetensors', modelType: 'bert' });
    expect(made.whisperFiles[0]).to.deep.include({ path: 'whisper/medium.pt', bytes: 7, roles: [] });
    const said = (await ok(['list'])).stdout;
    expect(said)
      .to.match(/compiled {2}acme\/german-bert \(int8\) at [\da-f]{8}: [\d.]+ kB, from model\.safetensors/)
      .and.match(/can be compiled {2}whisper\/medium\.pt: 7 B, whisper/)
      .and.match(/^whisper\/mine\.pt +7 B/m)
      .and.not.match(/can be compiled {2}(whisper\/mine|acme)/);
    await rm((await compiled()).path, { recursive: true });
    expect((await ok(['list'])).stdout).to.match(
      /can be compiled {2}acme\/german-bert \(model\.safetensors\): [\d.]+ kB, bert/,
    );
  });

  it('by another version of the compiler is listed as one that is not used', async () => {
    await filled();
    const { path, manifest } = await compiled();
    const former = { ...manifest, compiler: 1 };
    const at = join(path, '..', compiledKeyName(former));
    await cp(path, at, { recursive: true });
    await writeFile(join(at, 'compiled.json'), formatCompiledManifest(former));
    const lines = (await ok(['list'])).stdout.split('\n').filter((line) => line.startsWith('compiled '));
    expect(lines).to.have.length(2);
    expect(lines.filter((line) => line.includes('another version of the compiler'))).to.have.length(1);
  });

  it('is carried to a volume without a network, without its checkpoint', async () => {
    await filled();
    const tar = join(dir.path, 'models.tar');
    const other = { HF_HUB_CACHE: join(dir.path, 'other'), HF_HUB_OFFLINE: '1' };
    await ok(['export', tar]);
    // As an import that was killed leaves it.
    const there = join(other.HF_HUB_CACHE, relative(cache, (await compiled()).path));
    await mkdir(there, { recursive: true });
    await writeFile(join(there, 'model.onnx_data.0a1b2c3d.incomplete'), 'part');
    await ok(['import', tar], other);
    expect(await readdir(there)).to.have.members(['compiled.json', 'model.onnx', 'model.onnx_data']);
    expect(lastLine(await ok([], other)).msg).to.match(/^Up to date/);
    expect((await ok(['verify', '--quick'], other)).stdout).to.include('good');
    await ok(['verify'], other);
    const names = await readdir(join(dir.path, 'other'), { recursive: true });
    expect(names.filter((name) => name.includes('safetensors'))).to.deep.equal([]);
    const locks = await Promise.all(
      [cache, other.HF_HUB_CACHE].map((at) => readFile(join(at, 'models.lock.json'), 'utf8')),
    );
    expect(locks[1]).to.equal(locks[0]);
  });

  it('is not mixed with the one of an archive that was compiled elsewhere to other bytes and ends early', async () => {
    await filled();
    const tar = join(dir.path, 'models.tar');
    await ok(['export', tar]);
    const { path } = await compiled();
    const data = join(path, 'model.onnx_data');
    const before = await hashFile('sha256', data);
    await flip(data);
    const after = await hashFile('sha256', data);
    for (const file of [join(path, 'compiled.json'), join(cache, 'models.lock.json')])
      await writeFile(file, (await readFile(file, 'utf8')).replaceAll(before, after));
    await ok(['verify']);
    const archive = await readFile(tar);
    const short = { stdin: Readable.from([archive.subarray(0, -3_000)]) };
    expect((await runHere(['import', '-'], env(), short)).status).to.equal(7);
    await ok(['verify']);
    expect(await hashFile('sha256', data)).to.equal(after);
    expect(await readdir(path)).to.have.length(3);
    await ok(['import', tar]);
    await ok(['verify']);
    expect(await hashFile('sha256', data)).to.equal(before);
  });

  it('is not taken from an archive whose bytes are wrong', async () => {
    await filled();
    const tar = join(dir.path, 'models.tar');
    const other = { HF_HUB_CACHE: join(dir.path, 'other'), HF_HUB_OFFLINE: '1' };
    await ok(['export', tar]);
    const data = await readFile(join((await compiled()).path, 'model.onnx_data'));
    const bytes = await readFile(tar);
    const at = bytes.indexOf(data.subarray(0, 256));
    bytes.writeUInt8(bytes.readUInt8(at + 5) ^ 1, at + 5);
    await writeFile(tar, bytes);
    expect((await runHere(['import', tar], env(other))).status).to.equal(7);
    expect(await readCompiledModels(other.HF_HUB_CACHE, NAME)).to.deep.equal([]);
  });
});
