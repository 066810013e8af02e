import { copyFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type CompiledManifest, compiledKeyName, formatCompiledManifest } from '@heimdex/cache';
import { expect } from 'chai';
import { bertRepository, writeWhisperManifest } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { NAME, useCheckpoints } from './support/use-checkpoints.js';

describe('what a model lacks', () => {
  const { dir, whisper, env, ok, filled, snapshot, compiled, publish } = useCheckpoints();
  const whisperEnvironment = async () => ({
    MODELS_MANIFEST: await writeWhisperManifest(dir.path, whisper.sha256),
    ASR_MODEL: 'tiny-test',
    LOAD_BGE_M3: 'false',
  });
  const message = async (argv: readonly string[], more: NodeJS.ProcessEnv) => {
    const result = await runHere(argv, env(more));
    expect(result.status, result.stderr).to.equal(3);
    return lastLine(result).msg;
  };
  /** Leaves only a compiled model, as another version of the compiler or with other options would have written it. */
  const changeCompiled = async (name: string, change: Partial<CompiledManifest>) => {
    const { path, manifest } = await compiled(name);
    const other = { ...manifest, ...change };
    await writeFile(join(path, 'compiled.json'), formatCompiledManifest(other));
    await rename(path, join(dirname(path), compiledKeyName(other)));
  };

  it('is its checkpoint, and none of the files that are there', async () => {
    const more = await whisperEnvironment();
    await ok([], more);
    await rm(join(dir.path, 'cache', '.compiled'), { recursive: true });
    await rm(join(snapshot('acme/whisper-test'), 'model.safetensors'));
    const said = await message([], { ...more, HF_HUB_OFFLINE: '1' });
    expect(said)
      .to.include('model.safetensors')
      .and.not.match(/: (config|tokenizer)\.json/);
  });

  it('includes its weights when the volume is empty', async () => {
    expect(await message([], { ...(await whisperEnvironment()), HF_HUB_OFFLINE: '1' }))
      .to.match(/: config\.json/)
      .and.match(/: model\.safetensors/);
  });

  it('is not said of a model that cannot be looked up: the error is', async () => {
    await filled();
    const refs = join(dirname(dirname(snapshot())), 'refs');
    await rm(refs, { recursive: true });
    await symlink(refs, refs);
    await rm(join(dir.path, 'cache', 'models.lock.json'));
    for (const argv of [['download'], ['export', join(dir.path, 'models.tar')]]) {
      const { status, stderr } = await runHere(argv, env({ HF_HUB_OFFLINE: '1' }));
      expect(status).to.equal(6);
      expect(stderr)
        .to.include('ELOOP')
        .and.not.match(/tokenizer\.json|missing|run: /);
    }
  });

  for (const [name, what, change, expected] of [
    [NAME, 'by another version of the compiler', { compiler: 1 }, 'it is compiled by another version of the compiler'],
    ['acme/whisper-test', 'in another precision', { precision: 'fp16' }, 'it is compiled to fp16, not to int8'],
  ] as const) {
    it(`is a compiled form that can be used, if the one on the volume was compiled ${what}: ${name}`, async () => {
      const more = { ...(name === NAME ? {} : await whisperEnvironment()), KEEP_CHECKPOINTS: 'false' };
      await ok([], more);
      await changeCompiled(name, change);
      for (const lock of [true, false]) {
        if (!lock) await rm(join(dir.path, 'cache', 'models.lock.json'));
        for (const argv of [['verify'], ['export', join(dir.path, 'models.tar')], ['download']]) {
          const said = await message(argv, { ...more, HF_HUB_OFFLINE: '1' });
          expect(said)
            .to.include(`${expected}. Run heimdex-downloader download, which fetches its checkpoint again`)
            .and.not.include('onnx/');
        }
      }
      await ok([], more);
      await ok(['verify'], more);
    });
  }

  for (const [what, change] of [
    ['architecture', { modelType: 'mpnet' }],
    [
      'layer behind the pooling',
      { sources: [{ path: '2_Dense/model.safetensors', sizeBytes: 1, sha256: '0'.repeat(64) }] },
    ],
  ] as const) {
    it(`is a compiled form that can be used, if only graphs of its ${what} have a new version`, async () => {
      await filled();
      await changeCompiled(NAME, { compiler: 6, ...change });
      expect(await message(['verify'], {})).to.include('it is compiled by another version of the compiler');
    });
  }

  describe('that is not compiled', () => {
    beforeEach(async () => {
      await filled();
      await rm(join(dir.path, 'cache', '.compiled'), { recursive: true });
    });

    it('is nothing to fetch, as update says', async () => {
      const { stdout } = await ok(['update', '--dry-run']);
      expect(stdout).to.equal('No changes: the lock file matches the sources. 1 model to be compiled.\n');
    });

    it('is a damaged small file, and not that it is not compiled', async () => {
      await writeFile(join(snapshot(), 'config.json'), '{}');
      const said = await message([], { HF_HUB_OFFLINE: '1' });
      expect(said)
        .to.match(/config\.json/)
        .and.not.match(/compiled/);
    });
  });

  const sharded = bertRepository({ weights: 'shards' }).files;

  it('is nothing if there are also shards of another number, whole or not', async () => {
    const old = ['1-of-00002', '2-of-00002', '3-of-00004'].map((number) => `model-0000${number}.safetensors`);
    const files = [...sharded, ...old.map((path) => ({ path, bytes: `old ${path}` }))];
    await publish({ name: 'acme/sharded-twice', files });
    await ok([], { TEXT_MODEL_NAME: 'acme/sharded-twice' });
    await ok(['verify'], { TEXT_MODEL_NAME: 'acme/sharded-twice' });
  });

  it('is a shard that its index names although it is none of its shards by its name: nobody has verified it', async () => {
    const name = 'acme/strange-shard';
    const last = 'model-00003-of-00003.safetensors';
    const files = sharded.map((file) =>
      file.path.endsWith('.index.json') && 'bytes' in file
        ? { ...file, bytes: String(file.bytes).replaceAll(last, 'extra.safetensors') }
        : file,
    );
    await publish({ name, files });
    // As Python fetches what the index names.
    for (const fill of [
      undefined,
      () => copyFile(join(snapshot(name), last), join(snapshot(name), 'extra.safetensors')),
    ]) {
      await fill?.();
      const result = await runHere([], env({ TEXT_MODEL_NAME: name }));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result).msg).to.include('Expected shard extra.safetensors');
    }
  });

  const isShard = (path: string) => path.endsWith('.safetensors');
  for (const [what, files] of [
    ['a shard is missing', sharded.filter(({ path }) => !path.startsWith('model-00002'))],
    ['there is only an index', sharded.filter(({ path }) => !isShard(path))],
    ['it has no weights', sharded.filter(({ path }) => !path.startsWith('model'))],
  ] as const) {
    it(`is named as a checkpoint and as an export if a repository's name is all that is known and ${what}`, async () => {
      await publish({ name: 'acme/lacking', files });
      const said = await message([], { TEXT_MODEL_NAME: 'acme/lacking' });
      expect(said)
        .to.include('acme/lacking')
        .and.include('the index of either with all its shards')
        .and.include('an ONNX export (onnx/model_quantized.onnx)')
        .and.include('Choose another model with TEXT_MODEL_NAME');
    });
  }

  it('is told how a tokenizer.json is made if it has none, and nothing names its tokenizer', async () => {
    await publish({ name: 'acme/untold', files: sharded.filter(({ path }) => !path.startsWith('tokenizer')) });
    expect(await message([], { TEXT_MODEL_NAME: 'acme/untold' }))
      .to.include('acme/untold has no tokenizer.json')
      .and.include('AutoTokenizer.from_pretrained("acme/untold").save_pretrained(DIR) writes one')
      .and.include('Choose another variant or model with TEXT_MODEL_NAME');
  });

  it('is the file of a pooling that the modules.json of an export names', async () => {
    const modules = JSON.stringify([
      { type: 'sentence_transformers.models.Transformer', path: '' },
      { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
    ]);
    const small = ['config.json', 'tokenizer.json', 'tokenizer_config.json'].map((path) => ({ path, bytes: '{}' }));
    const files = [
      ...small,
      { path: 'modules.json', bytes: modules },
      { path: 'onnx/model_quantized.onnx', bytes: 'x' },
    ];
    await publish({ name: 'acme/unpooled', files });
    const said = await message(['plan'], { TEXT_MODEL_NAME: 'acme/unpooled' });
    expect(said).to.include('acme/unpooled has no 1_Pooling/config.json').and.include('Choose another');
    await publish({ name: 'acme/unpooled', files: [...files, { path: '1_Pooling/config.json', bytes: '{}' }] });
    await ok(['plan'], { TEXT_MODEL_NAME: 'acme/unpooled' });
  });

  it('is told the graphs that it has if they are of another variant', async () => {
    const graphs = ['onnx/model.onnx', 'onnx/model_O1.onnx', 'onnx/model_O2.onnx', 'onnx/model_O3.onnx'];
    const files = sharded.filter(({ path }) => !path.startsWith('model'));
    await publish({ name: 'acme/exported', files: [...files, ...graphs.map((path) => ({ path, bytes: '' }))] });
    const said = await message([], { TEXT_MODEL_NAME: 'acme/exported' });
    expect(said).to.include(
      `(onnx/model_quantized.onnx), got ${graphs.slice(0, 3).join(', ')} and 1 more. Choose another variant or model`,
    );
  });
});
