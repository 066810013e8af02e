import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPILABLE_FAMILIES, readCompiledModels, scanCompiled } from '@heimdex/cache';
import { MODEL_TYPES } from '@heimdex/compiler';
import { type Hub, startHub } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository, whisperCheckpoint, writeWhisperManifest } from './support/checkpoints.js';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { temporaryDir } from './support/volume.js';

const NAME = 'acme/german-bert';
/** SigLIP needs it. */
const TOKENIZER_CONFIG = { path: 'tokenizer_config.json', bytes: '{}' };

describe('a checkpoint', () => {
  const dir = temporaryDir();
  let hub: Hub;
  let cache: string;

  before(async () => {
    hub = await startHub({
      repositories: [
        bertRepository(),
        bertRepository({ name: 'acme/bin-bert', weights: 'bin' }),
        bertRepository({ name: 'acme/sharded-bert', weights: 'shards' }),
        { name: 'acme/no-tokenizer', files: bertRepository().files.filter(({ path }) => path !== 'tokenizer.json') },
        { name: 'acme/clip', files: [...withType(bertRepository(), 'clip'), TOKENIZER_CONFIG] },
        { name: 'acme/naflex', files: [...withType(bertRepository(), 'siglip2'), TOKENIZER_CONFIG] },
        { name: 'acme/distil', files: [...withType(bertRepository(), 'distilbert')] },
        {
          name: 'acme/whisper-test',
          files: [...whisper.small, { path: 'model.safetensors', bytes: whisper.safetensors }],
        },
      ],
    });
  });
  after(() => hub.close());
  beforeEach(() => {
    cache = join(dir.path, 'cache');
    hub.requests.clear();
  });

  const whisper = whisperCheckpoint();
  const env = (more: NodeJS.ProcessEnv = {}) =>
    testEnvironment(dir.path, hub.url, {
      ASR_MODEL: 'none',
      LOAD_BGE_M3: 'true',
      TEXT_MODEL_NAME: NAME,
      DOWNLOAD_STALL_SECONDS: '30',
      ...more,
    });
  const ok = async (argv: readonly string[] = [], more: NodeJS.ProcessEnv = {}) => {
    const result = await runHere(argv, env(more));
    expect(result.status, result.stderr).to.equal(0);
    return result;
  };
  const json = async (argv: readonly string[], more: NodeJS.ProcessEnv = {}) =>
    JSON.parse((await ok([...argv, '--json'], more)).stdout);
  const snapshot = (name = NAME) =>
    join(cache, `models--${name.replace('/', '--')}`, 'snapshots', hub.commit(name).sha);
  const compiled = async (name = NAME) => {
    const [model, ...more] = await readCompiledModels(cache, name);
    if (model === undefined || more.length > 0) throw new Error(`${more.length + 1} compiled models`);
    return model;
  };
  const bytesAsked = () => hub.requests.filter({ kind: 'bytes' }).map(({ file }) => file);

  it('is of one of the architectures that the compiler knows', () => {
    expect(Object.values(COMPILABLE_FAMILIES).flat()).to.have.members([...MODEL_TYPES]);
  });

  for (const name of [NAME, 'acme/bin-bert', 'acme/sharded-bert']) {
    it(`is fetched, compiled, checked and locked; the next run has nothing to do: ${name}`, async () => {
      const more = { TEXT_MODEL_NAME: name };
      const first = lastLine(await ok([], more));
      expect(first).to.include({ event: 'summary', compiledModels: 1 });
      expect(first.msg).to.match(/^Downloaded \d files, [\d.]+ kB and compiled 1 model in /);
      const { manifest } = await compiled(name);
      expect(manifest.graphs[0]?.cosine).to.be.within(0.999, 1.000001);
      expect(manifest.modelType).to.equal('bert');
      const lock = JSON.parse(await readFile(join(cache, 'models.lock.json'), 'utf8'));
      const paths = lock.models[0].files.map(({ path }: { path: string }) => path);
      expect(paths).to.include.members(['compiled/model.onnx', 'config.json', manifest.sources[0]?.path]);
      hub.requests.clear();
      expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
      expect(hub.requests.count).to.equal(0);
      await ok(['verify'], more);
    });
  }

  for (const [variable, name, named] of [
    ['TEXT_MODEL_NAME', 'acme/distil', ['distilbert', 'bert or xlm-roberta']],
    ['VISION_MODEL_NAME', 'acme/clip', ['clip', 'siglip']],
    ['VISION_MODEL_NAME', 'acme/naflex', ['siglip2', 'naflex']],
    ['ASR_MODEL', NAME, ['bert', 'whisper']],
  ] as const) {
    it(`of another architecture is refused by its name before it is fetched: ${name} as ${variable}`, async () => {
      const result = await runHere([], env({ [variable]: name }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
      for (const word of named) expect(lastLine(result).msg).to.include(word);
      expect(bytesAsked()).to.deep.equal(['config.json']);
    });
  }

  it('without a file that it needs is an error that names that file, and not one of an export', async () => {
    const result = await runHere([], env({ TEXT_MODEL_NAME: 'acme/no-tokenizer' }));
    expect(result.status, result.stderr).to.equal(3);
    expect(lastLine(result).msg).to.include('has no tokenizer.json');
  });

  it('is compiled again in another precision, and prune then offers the first one', async () => {
    await ok();
    await ok([], { TEXT_MODEL_NAME: `${NAME}:fp16` });
    const dirs = await scanCompiled(cache);
    expect(dirs.map(({ manifest }) => manifest?.precision)).to.have.members(['int8', 'fp16']);
    const { steps } = await json(['prune'], { TEXT_MODEL_NAME: `${NAME}:fp16` });
    expect(steps.map(({ reason }: { reason: string }) => reason)).to.deep.equal([
      'compiled by another version or in another precision',
    ]);
    await ok(['prune', '--yes'], { TEXT_MODEL_NAME: `${NAME}:fp16` });
    expect((await compiled()).manifest.precision).to.equal('fp16');
    await ok(['verify'], { TEXT_MODEL_NAME: `${NAME}:fp16` });
  });

  it('is planned: bytes to fetch, what is compiled from what and why, seconds and disk', async () => {
    const made = await json(['plan']);
    expect(made.fetch.files).to.equal(3);
    expect(made.models[0].compile).to.deep.include({
      precision: 'int8',
      from: ['model.safetensors'],
      why: 'the only one',
      seconds: 1,
    });
    expect(made.models[0].compile.diskBytes).to.be.within(1, made.models[0].compile.bytes);
    expect((await ok(['plan'])).stdout)
      .to.match(
        /compile {2}model\.safetensors {2}[\d.]+ kB, the only checkpoint .*; to int8 in about 1 s, up to [\d.]+ kB/,
      )
      .and.match(/Compiling takes about 1 s\. The volume needs up to [\d.]+ kB more during the run/);
    await ok();
    expect((await json(['plan'])).models[0]).to.deep.include({ complete: true });
  });

  it('that another program left is used unchanged: 0 bytes to fetch, no request, and prune never offers it', async () => {
    await ok();
    // As huggingface_hub leaves it: no lock file, nothing compiled.
    await rm(join(cache, 'models.lock.json'));
    await rm(join(cache, '.compiled'), { recursive: true });
    hub.requests.clear();
    expect((await ok(['plan'])).stdout)
      .to.include('0 bytes to fetch')
      .and.match(/compile {2}model\.safetensors .*, which is on the volume/);
    const made = await json(['plan']);
    expect(made.fetch).to.deep.equal({ files: 0, bytes: 0, resumedBytes: 0 });
    expect(made.models[0].compile.why).to.equal('on the volume');
    const said = lastLine(await ok([], { HF_HUB_OFFLINE: '1' })).msg;
    expect(said).to.match(/^Fetched nothing and compiled 1 model in .*; already present: 3 files, [\d.]+ kB$/);
    expect(hub.requests.count).to.equal(0);
    for (const more of [{}, { LOAD_BGE_M3: 'false' }]) {
      const { steps, kept } = await json(['prune'], more);
      expect(steps.filter(({ path }: { path: string }) => !path.includes('.compiled'))).to.deep.equal([]);
      expect(kept.map(({ name }: { name: string }) => name)).to.deep.equal('LOAD_BGE_M3' in more ? [NAME] : []);
    }
    const named = await ok(['prune', '--repository', NAME, '--yes'], { LOAD_BGE_M3: 'false' });
    expect(named.stdout).to.include('models--acme--german-bert');
    expect(await readdir(cache)).not.to.include('models--acme--german-bert');
  });

  describe('with KEEP_CHECKPOINTS=false', () => {
    const DROP = { KEEP_CHECKPOINTS: 'false' };

    for (const name of [NAME, 'acme/sharded-bert']) {
      it(`goes once it is compiled and verified; its hashes stay, and the volume is whole: ${name}`, async () => {
        const more = { ...DROP, TEXT_MODEL_NAME: name };
        const { log } = await ok([], more);
        expect(log.some(({ event }) => event === 'checkpoint-dropped')).to.equal(true);
        const left = await readdir(snapshot(name));
        expect(left).to.have.members(['config.json', 'tokenizer.json']);
        const blobs = await readdir(join(cache, `models--${name.replace('/', '--')}`, 'blobs'));
        expect(blobs).to.have.length(2);
        const lock = await readFile(join(cache, 'models.lock.json'), 'utf8');
        for (const { sha256 } of (await compiled(name)).manifest.sources) expect(lock).to.include(sha256);
        hub.requests.clear();
        expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
        await ok(['verify'], more);
        expect(hub.requests.count).to.equal(0);
        expect((await json(['prune'], more)).steps).to.deep.equal([]);
        expect((await ok(['update'], more)).stdout).to.match(/No changes/);
        expect(bytesAsked()).not.to.include('model.safetensors');
      });
    }

    it('is gone before the next one is fetched, so that the volume holds one at a time', async () => {
      const more = { ...DROP, ASR_MODEL: 'acme/whisper-test' };
      const costs = async (env: NodeJS.ProcessEnv) => (await json(['plan'], env)).costs;
      const kept = await costs({ ...more, KEEP_CHECKPOINTS: 'true' });
      expect(kept.peakBytes).to.equal(kept.endBytes);
      const planned = await costs(more);
      expect(planned.endBytes).to.be.below(planned.peakBytes);
      expect(planned.peakBytes).to.be.below(kept.peakBytes);
      const steps = ['start', 'compiled', 'checkpoint-dropped'];
      const { log } = await ok([], more);
      const done = log.map(({ event }) => String(event)).filter((event) => steps.includes(event));
      expect(done).to.deep.equal([...steps, ...steps]);
      expect(log.at(-1)).to.include({ event: 'summary', fetchedFiles: 6 });
      hub.requests.clear();
      expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
      await ok(['verify'], more);
      expect(hub.requests.count).to.equal(0);
      const lock = JSON.parse(await readFile(join(cache, 'models.lock.json'), 'utf8'));
      expect(lock.models).to.have.length(2);
    });

    it('goes from a volume that was filled before', async () => {
      await ok();
      await ok([], DROP);
      expect(await readdir(snapshot())).not.to.include('model.safetensors');
      await ok(['verify'], DROP);
    });

    it('is fetched again for another precision, and for graphs of another compiler', async () => {
      await ok([], DROP);
      hub.requests.clear();
      await ok([], { ...DROP, TEXT_MODEL_NAME: `${NAME}:fp16` });
      expect(bytesAsked()).to.include('model.safetensors');
      await rm(join(cache, '.compiled'), { recursive: true });
      hub.requests.clear();
      await ok([], DROP);
      expect(bytesAsked()).to.include('model.safetensors');
      expect(await readdir(snapshot())).not.to.include('model.safetensors');
    });

    it('stays where its compiled form is damaged', async () => {
      await ok();
      const { path } = await compiled();
      await flip(join(path, 'model.onnx_data'));
      expect((await runHere([], env(DROP))).status).to.equal(7);
      expect(await readdir(snapshot())).to.include('model.safetensors');
    });

    it('keeps the bytes that another commit points at', async () => {
      await ok();
      const other = join(snapshot(), '..', 'a'.repeat(40));
      await mkdir(other);
      const { symlink, readlink } = await import('node:fs/promises');
      const target = await readlink(join(snapshot(), 'model.safetensors'));
      await symlink(target, join(other, 'model.safetensors'));
      await ok([], DROP);
      expect((await stat(join(other, 'model.safetensors'))).size).to.be.above(0);
    });
  });

  describe("as OpenAI's own file on the volume", () => {
    const more = async () => ({
      MODELS_MANIFEST: await writeWhisperManifest(dir.path, whisper.sha256),
      ASR_MODEL: 'tiny-test',
      LOAD_BGE_M3: 'false',
    });
    const put = async (bytes: Buffer) => {
      await mkdir(join(cache, 'whisper'), { recursive: true });
      await writeFile(join(cache, 'whisper', 'tiny-test.pt'), bytes);
    };

    it('is compiled, and only the small files are fetched, which plan says plainly', async () => {
      await put(whisper.pt);
      const said = (await ok(['plan'], await more())).stdout;
      expect(said).to.match(/keep +whisper\/tiny-test\.pt/);
      expect(said).to.match(/compile {2}whisper\/tiny-test\.pt .*, which is on the volume/);
      expect(said).to.match(
        /The weights are present\. Small files to fetch, \d+ B: config\.json, tokenizer\.json, which openai-whisper ships in its Python package/,
      );
      expect(said).not.to.include('model.safetensors');
      hub.requests.clear();
      await ok([], await more());
      expect(bytesAsked()).not.to.include('model.safetensors');
      expect((await compiled('acme/whisper-test')).manifest.sources.map(({ path }) => path)).to.deep.equal([
        'whisper/tiny-test.pt',
      ]);
      expect(lastLine(await ok([], await more())).msg).to.match(/^Up to date/);
      const { whisperFiles } = await json(['list'], await more());
      expect(whisperFiles[0]).to.deep.include({ path: 'whisper/tiny-test.pt', roles: ['speech'] });
    });

    it('without its small files is an error that says so where the server looks for it', async () => {
      await put(whisper.pt);
      const result = await runHere(['verify', '--json'], env(await more()));
      expect(result.status).to.equal(3);
      const [problem] = JSON.parse(result.stdout).problems;
      expect(problem).to.include({ code: 'MODEL_NOT_COMPILED' });
      expect(problem.message)
        .to.include('whisper/tiny-test.pt is present but not compiled yet')
        .and.include('tokenizer.json');
    });

    it('stays whatever KEEP_CHECKPOINTS says, for this program did not download it', async () => {
      await put(whisper.pt);
      await ok([], { ...(await more()), KEEP_CHECKPOINTS: 'false' });
      expect((await stat(join(cache, 'whisper', 'tiny-test.pt'))).size).to.equal(whisper.pt.length);
    });

    it('with other bytes is left as it is, said so, and not used', async () => {
      const own = Buffer.from(whisper.pt);
      own.writeUInt8(own.readUInt8(9000) ^ 1, 9000);
      await put(own);
      const { stderr } = await ok([], await more());
      expect(stderr).to.include('is not the file in the manifest').and.include('It is left unchanged');
      expect((await compiled('acme/whisper-test')).manifest.sources[0]?.path).to.equal('model.safetensors');
      expect((await readFile(join(cache, 'whisper', 'tiny-test.pt'))).equals(own)).to.equal(true);
    });
  });

  describe('once compiled', () => {
    it('is verified by its own hashes, and compiled again if a byte is wrong', async () => {
      await ok();
      const { path } = await compiled();
      await flip(join(path, 'model.onnx_data'));
      const result = await runHere(['verify'], env());
      expect(result.status).to.equal(7);
      expect(lastLine(result).msg).to.include('compiled/model.onnx_data');
      hub.requests.clear();
      await ok(['download', '--check']);
      await ok(['verify']);
      expect(bytesAsked()).to.deep.equal([]);
    });

    it('is listed, next to what can be compiled', async () => {
      await ok();
      await mkdir(join(cache, 'whisper'));
      await writeFile(join(cache, 'whisper', 'medium.pt'), 'weights');
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
        .to.match(/compiled {2}acme\/german-bert \(int8\): [\d.]+ kB, from model\.safetensors/)
        .and.match(/can be compiled {2}acme\/german-bert \(model\.safetensors\): [\d.]+ kB, bert/)
        .and.match(/can be compiled {2}whisper\/medium\.pt: 7 B, whisper/);
    });

    it('is carried to a volume without a network, without its checkpoint', async () => {
      await ok();
      const tar = join(dir.path, 'models.tar');
      const other = { HF_HUB_CACHE: join(dir.path, 'other'), HF_HUB_OFFLINE: '1' };
      await ok(['export', tar]);
      await ok(['import', tar], other);
      expect(lastLine(await ok([], other)).msg).to.match(/^Up to date/);
      await ok(['verify'], other);
      const names = await readdir(join(dir.path, 'other'), { recursive: true });
      expect(names.filter((name) => name.includes('safetensors'))).to.deep.equal([]);
      const locks = await Promise.all(
        [cache, other.HF_HUB_CACHE].map((at) => readFile(join(at, 'models.lock.json'), 'utf8')),
      );
      expect(locks[1]).to.equal(locks[0]);
    });

    it('is not taken from an archive whose bytes are wrong', async () => {
      await ok();
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
});

function* withType({ files }: ReturnType<typeof bertRepository>, type: string) {
  for (const file of files) {
    if (file.path === 'config.json') yield { path: file.path, bytes: JSON.stringify({ model_type: type }) };
    else yield file;
  }
}

/** Turns one bit in the middle of a file, under the same time of change. */
async function flip(path: string): Promise<void> {
  const { size, atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, Math.floor(size / 2));
  byte.writeUInt8(byte.readUInt8() ^ 1);
  await file.write(byte, 0, 1, Math.floor(size / 2));
  await file.utimes(atime, mtime);
  await file.close();
}
