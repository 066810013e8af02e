import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { COMPILABLE_FAMILIES, scanCompiled } from '@heimdex/cache';
import { MODEL_TYPES } from '@heimdex/compiler';
import { expect } from 'chai';
import { writeWhisperManifest } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { FOREIGN, NAME, useCheckpoints } from './support/use-checkpoints.js';

describe('a checkpoint', () => {
  const { dir, whisper, env, ok, filled, json, compiled, bytesAsked, requests, snapshot } = useCheckpoints();
  let cache: string;
  beforeEach(() => {
    cache = join(dir.path, 'cache');
  });

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
      requests().clear();
      expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
      expect(requests().count).to.equal(0);
      await ok(['verify'], more);
    });
  }

  for (const [variable, name, named] of [
    ['TEXT_MODEL_NAME', 'acme/deberta', ['deberta-v2', 'bert or xlm-roberta or roberta']],
    ['VISION_MODEL_NAME', 'acme/clip', ['clip', 'siglip']],
    ['VISION_MODEL_NAME', 'acme/naflex', ['siglip2', 'naflex']],
    ['ASR_MODEL', NAME, ['bert', 'whisper']],
  ] as const) {
    it(`of an unsupported architecture is refused by name before it is fetched: ${name} as ${variable}`, async () => {
      const result = await runHere([], env({ LOAD_BGE_M3: String(variable === 'TEXT_MODEL_NAME'), [variable]: name }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
      for (const word of named) expect(lastLine(result).msg).to.include(word);
      expect(bytesAsked()).to.deep.equal(['config.json']);
    });
  }

  it('of an architecture with another name for the same network is compiled: RoBERTa', async () => {
    await ok([], { TEXT_MODEL_NAME: 'acme/roberta' });
    expect((await compiled('acme/roberta')).manifest.modelType).to.equal('roberta');
  });

  for (const [name, weights] of [
    ['acme/dense', '2_Dense/model.safetensors'],
    ['acme/bin-dense', '2_Dense/pytorch_model.bin'],
  ] as const) {
    it(`with a layer behind the pooling is compiled with it: ${weights}`, async () => {
      const more = { TEXT_MODEL_NAME: name };
      await ok([], more);
      expect((await compiled(name)).manifest.sources.map(({ path }) => path)).to.include(weights);
      expect([...new Set(bytesAsked().filter((path) => path?.startsWith('2_Dense/')))]).to.have.members([
        '2_Dense/config.json',
        weights,
      ]);
      requests().clear();
      expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
      expect(requests().count).to.equal(0);
      await ok(['verify'], more);
    });
  }

  it('with a layer behind the pooling and without its weights is an error that names them', async () => {
    const result = await runHere([], env({ TEXT_MODEL_NAME: 'acme/half-dense' }));
    expect(result.status, result.stderr).to.equal(7);
    expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
    expect(lastLine(result).msg).to.include('2_Dense/model.safetensors');
  });

  for (const [name, module] of [
    ['acme/weighted', 'WordWeights'],
    ['acme/normalized-dense', 'Normalize before Dense'],
  ]) {
    it(`with modules that the server does not know is refused by their names before it is fetched: ${module}`, async () => {
      const result = await runHere([], env({ TEXT_MODEL_NAME: name }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
      expect(lastLine(result).msg)
        .to.include('modules Transformer, Pooling, Normalize, Dropout')
        .and.include(`it has ${module} too`);
      expect(bytesAsked()).to.deep.equal(['config.json', 'modules.json']);
    });
  }

  it('with the files that stand in for tokenizer.json is complete with them', async () => {
    const more = { TEXT_MODEL_NAME: 'acme/words' };
    await ok([], more);
    expect(bytesAsked()).to.include('vocab.txt').and.not.include('tokenizer.json');
    const lock = JSON.parse(await readFile(join(cache, 'models.lock.json'), 'utf8'));
    expect(lock.models[0].files.map(({ path }: { path: string }) => path)).to.include('vocab.txt');
    requests().clear();
    expect(lastLine(await ok([], more)).msg).to.match(/^Up to date/);
    expect(requests().count).to.equal(0);
    await ok(['verify'], more);
  });

  for (const [name, file] of Object.entries(FOREIGN)) {
    it(`in another format or place is refused by its file: ${file}`, async () => {
      const result = await runHere([], env({ ASR_MODEL: name, LOAD_BGE_M3: 'false' }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result).msg)
        .to.include(`(${file})`)
        .and.match(/neither model\.safetensors, pytorch_model\.bin nor an ONNX/);
      expect(bytesAsked()).to.deep.equal([]);
    });
  }

  it('is pointed at if its name has a variant that only exports have', async () => {
    const { msg } = lastLine(await runHere([], env({ TEXT_MODEL_NAME: `${NAME}:q8` })));
    expect(msg).to.include(`Without the variant, as TEXT_MODEL_NAME=${NAME}, its checkpoint is compiled`);
  });

  it('of word vectors without a network is refused as that, not told to be saved again', async () => {
    const { msg } = lastLine(await runHere([], env({ TEXT_MODEL_NAME: 'acme/word-vectors' })));
    expect(msg)
      .to.include('a table of word vectors without a network')
      .and.include('Choose a model with a network (bert,');
  });

  it('without a file that it needs is an error that names that file, and not one of an export', async () => {
    const result = await runHere([], env({ TEXT_MODEL_NAME: 'acme/no-tokenizer' }));
    expect(result.status, result.stderr).to.equal(3);
    const { msg } = lastLine(result);
    expect(msg).to.include('has no tokenizer.json').and.include(', int8) needs');
  });

  it('is compiled again in another precision, and prune then offers the first one', async () => {
    await filled();
    await ok([], { TEXT_MODEL_NAME: `${NAME}:fp16` });
    const { stdout } = await ok(['verify', '--quick'], { TEXT_MODEL_NAME: `${NAME}:fp16` });
    expect(stdout).to.include('good').and.not.include('never read');
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
    const halves = await json(['plan'], { TEXT_MODEL_NAME: 'acme/halves' });
    expect(halves.costs.peakBytes - halves.fetch.bytes, 'its weights are twice as many').to.be.closeTo(
      2 * made.models[0].compile.diskBytes,
      1,
    );
    await filled();
    expect((await json(['plan'])).models[0]).to.deep.include({ complete: true });
  });

  it('that another program left is used unchanged: 0 bytes to fetch, no request, and prune never offers it', async () => {
    await filled();
    // As huggingface_hub leaves it: no lock file, nothing compiled.
    await rm(join(cache, 'models.lock.json'));
    await rm(join(cache, '.compiled'), { recursive: true });
    requests().clear();
    expect((await ok(['plan'])).stdout)
      .to.include('0 bytes to fetch')
      .and.match(/compile {2}model\.safetensors .*, which is on the volume/);
    const made = await json(['plan']);
    expect(made.fetch).to.deep.equal({ files: 0, bytes: 0, resumedBytes: 0 });
    expect(made.models[0].compile.why).to.equal('on the volume');
    const config = join(snapshot(), 'config.json');
    const text = await readFile(config, 'utf8');
    await writeFile(config, '{"torch_dtype":"float16"}'.padEnd(text.length));
    const halves = await json(['plan']);
    expect(halves.costs.peakBytes, 'its weights are twice as many').to.be.closeTo(2 * made.costs.peakBytes, 1);
    await writeFile(config, text);
    const said = lastLine(await ok([], { HF_HUB_OFFLINE: '1' })).msg;
    expect(said).to.match(/^Fetched nothing and compiled 1 model in .*; already present: 3 files, [\d.]+ kB$/);
    expect(requests().count).to.equal(0);
    for (const more of [{}, { LOAD_BGE_M3: 'false' }]) {
      const { steps, kept } = await json(['prune'], more);
      expect(steps.filter(({ path }: { path: string }) => !path.includes('.compiled'))).to.deep.equal([]);
      expect(kept.map(({ name }: { name: string }) => name)).to.deep.equal('LOAD_BGE_M3' in more ? [NAME] : []);
    }
    const named = await ok(['prune', '--repository', NAME, '--yes'], { LOAD_BGE_M3: 'false' });
    expect(named.stdout).to.include('models--acme--german-bert');
    expect(await readdir(cache)).not.to.include('models--acme--german-bert');
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

    it('is compiled, and only the small files are fetched, as plan shows; it stays with any KEEP_CHECKPOINTS', async () => {
      await put(whisper.pt);
      const said = (await ok(['plan'], await more())).stdout;
      expect(said).to.match(/keep +whisper\/tiny-test\.pt/);
      expect(said).to.match(/compile {2}whisper\/tiny-test\.pt .*, which is on the volume/);
      expect(said).to.match(
        /The weights are present\. Small files to fetch, \d+ B: config\.json, tokenizer\.json, which openai-whisper ships in its Python package/,
      );
      expect(said).not.to.include('model.safetensors');
      requests().clear();
      await ok([], { ...(await more()), KEEP_CHECKPOINTS: 'false' });
      expect(bytesAsked()).not.to.include('model.safetensors');
      // This program did not download it.
      expect((await stat(join(cache, 'whisper', 'tiny-test.pt'))).size).to.equal(whisper.pt.length);
      expect((await compiled('acme/whisper-test')).manifest.sources.map(({ path }) => path)).to.deep.equal([
        'whisper/tiny-test.pt',
      ]);
      expect(lastLine(await ok([], await more())).msg).to.match(/^Up to date/);
      const { whisperFiles } = await json(['list'], await more());
      expect(whisperFiles[0]).to.deep.include({ path: 'whisper/tiny-test.pt', roles: ['speech'] });
    });

    it('without its small files is an error that names the path', async () => {
      await put(whisper.pt);
      const result = await runHere(['verify', '--json'], env(await more()));
      expect(result.status).to.equal(3);
      const [problem] = JSON.parse(result.stdout).problems;
      expect(problem).to.include({ code: 'MODEL_NOT_COMPILED' });
      expect(problem.message)
        .to.include('whisper/tiny-test.pt is present but not compiled yet')
        .and.include('tokenizer.json');
    });

    it('with other bytes is reported, left unchanged and not used', async () => {
      const own = Buffer.from(whisper.pt);
      own.writeUInt8(own.readUInt8(9000) ^ 1, 9000);
      await put(own);
      const { stderr } = await ok([], await more());
      expect(stderr).to.include('is not the file in the manifest').and.include('It is left unchanged');
      expect((await compiled('acme/whisper-test')).manifest.sources[0]?.path).to.equal('model.safetensors');
      expect((await readFile(join(cache, 'whisper', 'tiny-test.pt'))).equals(own)).to.equal(true);
    });
  });
});
