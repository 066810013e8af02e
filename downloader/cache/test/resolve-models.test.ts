import { expect } from 'chai';
import { knownNames, loadManifest, readModelEnvironment, resolveModel, resolveModels } from '../src/index.js';
import { cacheErrorOf } from './support/rejection.js';

const resolve = (env: NodeJS.ProcessEnv) => resolveModels(readModelEnvironment(env));

describe('resolving models', () => {
  it('returns speech and vision by default, text and faces when they are enabled', () => {
    expect(resolve({}).map(({ role, entry }) => [role, entry])).to.deep.equal([
      ['speech', 'openai/whisper-medium'],
      ['vision', 'google/siglip-so400m-patch14-384'],
    ]);
    const env = { ASR_MODEL: 'none', VISION_MODEL_NAME: 'none', LOAD_BGE_M3: 'true', FEATURE_FACE: '1' };
    expect(resolve(env).map(({ role, entry, id }) => [role, entry, id])).to.deep.equal([
      ['text', 'BAAI/bge-m3', 'BAAI/bge-m3'],
      ['faces', 'opencv/face_detection_yunet', 'opencv/face_detection_yunet'],
    ]);
  });

  it('returns the voice activity detector with a speech model when it is enabled, and never without one', () => {
    const env = { ASR_MODEL: 'base', VISION_MODEL_NAME: 'none', FEATURE_VAD: 'true' };
    expect(resolve(env).map(({ role, entry }) => [role, entry])).to.deep.equal([
      ['speech', 'openai/whisper-base'],
      ['vad', 'snakers4/silero-vad'],
    ]);
    expect(resolve({ ...env, ASR_MODEL: 'none' })).to.deep.equal([]);
  });

  const speech: [string, string, string][] = [
    ['Xenova/whisper-medium', 'whisper', 'Xenova/whisper-medium'],
    ['moonshine-tiny', 'moonshine', 'onnx-community/moonshine-tiny-ONNX'],
    ['onnx-community/whisper-base_timestamped', 'whisper', 'onnx-community/whisper-base_timestamped'],
    ['somebody/whisper-finetuned', 'whisper', 'somebody/whisper-finetuned'],
    ['somebody/moonshine-base-ONNX', 'moonshine', 'somebody/moonshine-base-ONNX'],
  ];
  for (const [name, family, id] of speech) {
    it(`resolves ASR_MODEL=${name} to ${id}`, () => {
      const [model] = resolve({ ASR_MODEL: name, VISION_MODEL_NAME: 'none' });
      expect(model).to.include({ role: 'speech', family, id, name, variable: 'ASR_MODEL', variant: 'q8' });
      const weights = model?.files.flatMap((file) => (file.weights === undefined ? [] : [[file.weights, file.path]]));
      expect(weights).to.deep.equal([
        ['encoder', 'onnx/encoder_model_quantized.onnx'],
        ['decoder', 'onnx/decoder_model_merged_quantized.onnx'],
      ]);
    });
  }

  const checkpoints: [string, string, string][] = [
    ['ASR_MODEL', 'tiny', 'openai/whisper-tiny'],
    ['ASR_MODEL', 'base.pt', 'openai/whisper-base'],
    ['ASR_MODEL', 'medium', 'openai/whisper-medium'],
    ['ASR_MODEL', 'openai/whisper-small', 'openai/whisper-small'],
    ['ASR_MODEL', 'LARGE-v3-turbo', 'openai/whisper-large-v3-turbo'],
    ['VISION_MODEL_NAME', 'google/siglip-so400m-patch14-384', 'google/siglip-so400m-patch14-384'],
    ['TEXT_MODEL_NAME', 'BAAI/bge-m3', 'BAAI/bge-m3'],
  ];
  for (const [variable, name, id] of checkpoints) {
    it(`resolves ${variable}=${name} to the checkpoint of ${id}, compiled to 8 bits`, () => {
      const env = { ASR_MODEL: 'none', VISION_MODEL_NAME: 'none', LOAD_BGE_M3: String(variable === 'TEXT_MODEL_NAME') };
      const [model] = resolve({ ...env, [variable]: name });
      expect(model).to.include({ id, name, variable, variant: 'int8' });
      expect(model?.compile?.precision).to.equal('int8');
      expect(model?.files.filter((file) => file.weights !== undefined)).to.deep.equal([]);
    });
  }

  // The keys of _MODELS in openai-whisper 20250625.
  const openAi: [string, string, string][] = [
    ...['tiny', 'base', 'small', 'medium'].flatMap((size): [string, string, string][] => [
      [size, `openai/whisper-${size}`, size],
      [`${size}.en`, `openai/whisper-${size}.en`, `${size}.en`],
    ]),
    ['large-v1', 'openai/whisper-large', 'large-v1'],
    ['large-v2', 'openai/whisper-large-v2', 'large-v2'],
    ['large-v3', 'openai/whisper-large-v3', 'large-v3'],
    ['large', 'openai/whisper-large-v3', 'large-v3'],
    ['large-v3-turbo', 'openai/whisper-large-v3-turbo', 'large-v3-turbo'],
    ['turbo', 'openai/whisper-large-v3-turbo', 'large-v3-turbo'],
  ];
  for (const [name, id, file] of openAi) {
    it(`knows openai-whisper's name ${name}, as a file's name too, in each precision, and that file's hash`, () => {
      const manifest = loadManifest();
      for (const spelt of [name, `${name}.pt`, id]) {
        for (const precision of ['int8', 'fp16', 'fp32']) {
          const { id: found, compile, sources } = resolveModel(manifest, 'speech', `${spelt}:${precision}`);
          expect([found, compile?.precision], spelt).to.deep.equal([id, precision]);
          expect(sources).to.deep.equal([{ type: 'hf', repository: id, revision: 'main' }]);
          const [pt, ...more] = compile?.checkpoints ?? [];
          expect(more).to.deep.equal([]);
          expect(pt?.path).to.equal(`whisper/${file}.pt`);
          // OpenAI's addresses carry the hash.
          expect(pt?.url).to.match(new RegExp(`/whisper/models/${pt?.sha256}/${file}\\.pt$`));
        }
      }
    });
  }

  it("knows OpenAI's own file of the same weights, by its hash", () => {
    const { compile, sources } = resolveModel(loadManifest(), 'speech', 'medium');
    expect(compile?.checkpoints.map(({ path, sha256 }) => [path, sha256.slice(0, 8)])).to.deep.equal([
      ['whisper/medium.pt', '345ae4da'],
    ]);
    expect(sources.map(({ type }) => type)).to.deep.equal(['hf']);
  });

  it('treats a repository that is not in the manifest as an export, else as a checkpoint', () => {
    const manifest = loadManifest();
    for (const [role, name] of [
      ['speech', 'somebody/whisper-korean'],
      ['vision', 'somebody/siglip-korean'],
      ['text', 'intfloat/multilingual-e5-small'],
    ] as const) {
      const model = resolveModel(manifest, role, name);
      expect([model.id, model.compile], name).to.deep.equal([name, undefined]);
      expect(model.otherwise, name).to.deep.include({ id: name, compile: { precision: 'int8', checkpoints: [] } });
    }
    expect(resolveModel(manifest, 'speech', 'somebody/whisper-korean:int8').compile?.precision).to.equal('int8');
  });

  it('knows the external weights of a sentence embedder by the names of both exporters, optimum and torch', () => {
    const manifest = loadManifest();
    for (const [variant, graph] of [
      ['fp32', 'onnx/model.onnx'],
      ['fp16', 'onnx/model_fp16.onnx'],
    ]) {
      const { files } = resolveModel(manifest, 'text', `acme/own-export:${variant}`);
      const optional = files.filter(({ required }) => !required).map(({ path }) => path);
      expect(optional).to.include.members([`${graph}_data`, `${graph}.data`]);
    }
  });

  it('accepts a variant after a colon, in any case', () => {
    const manifest = loadManifest();
    expect(resolveModel(manifest, 'vision', 'heimdex/siglip-pocket').variant).to.equal('fp32');
    const quantized = resolveModel(manifest, 'vision', 'siglip-pocket:q8');
    expect(quantized.variant).to.equal('q8');
    expect(quantized.files.map((file) => file.path)).to.include('onnx/vision_model_quantized.onnx');
    const large = resolveModel(manifest, 'speech', 'Xenova/whisper-base:fp32').files.filter((file) => !file.required);
    expect(large.map((file) => file.path)).to.include('onnx/encoder_model.onnx_data');
    for (const name of ['base:fp32', 'Base:FP32', 'somebody/whisper-korean:FP32'])
      expect(resolveModel(manifest, 'speech', name).variant, name).to.equal('fp32');
  });

  it('uses half-precision files for DEVICE=cuda if there are any, unless a variant is named', () => {
    const env = { ASR_MODEL: 'base', VISION_MODEL_NAME: 'heimdex/siglip-pocket', LOAD_BGE_M3: 'true' };
    const variants = (device: string) => resolve({ ...env, DEVICE: device }).map(({ variant }) => variant);
    expect(variants('cuda')).to.deep.equal(['fp16', 'fp32', 'fp16']);
    expect(variants('auto')).to.deep.equal(variants('cpu'));
    expect(resolve({ ASR_MODEL: 'base:int8', VISION_MODEL_NAME: 'none', DEVICE: 'cuda' })[0]?.variant).to.equal('int8');
  });

  it('refuses an unknown name with the known ones and the variable', async () => {
    const error = await cacheErrorOf(() => resolve({ ASR_MODEL: 'huge' }));
    expect([error.code, error.role, error.variable]).to.deep.equal(['MODEL_UNKNOWN', 'speech', 'ASR_MODEL']);
    expect(error.message).to.match(/^ASR_MODEL must be one of tiny, base, small, medium, large-v3-turbo, .*org\/name/);
    expect(error.message).to.include('got "huge"');
  });

  it('refuses an unknown variant with those there are', async () => {
    // The second one is a member of every object in JavaScript.
    for (const variant of ['q4', 'constructor']) {
      const error = await cacheErrorOf(() => resolveModel(loadManifest(), 'text', `bge-m3-tiny:${variant}`));
      expect(error.code).to.equal('MODEL_UNKNOWN');
      expect(error.message).to.include('fixtures/bge-m3-tiny:fp32');
    }
  });

  it('reports all unknown names in one error', async () => {
    const error = await cacheErrorOf(() =>
      resolve({ ASR_MODEL: 'x', VISION_MODEL_NAME: 'y', FEATURE_FACE: '1', FACE_MODEL_NAME: 'a/b' }),
    );
    expect(error.problems.map((problem) => problem.split(' ')[0])).to.deep.equal([
      'ASR_MODEL',
      'VISION_MODEL_NAME',
      'FACE_MODEL_NAME',
    ]);
  });

  it('does not treat an invalid repository name as a repository', async () => {
    for (const name of ['../../etc', 'a/../b', 'a/b/c', '/a/b', 'a//b', 'a\\b/c', 'a/b--c', 'a/b c', '-a/b']) {
      expect((await cacheErrorOf(() => resolve({ ASR_MODEL: name }))).code, name).to.equal('MODEL_UNKNOWN');
    }
  });

  it('lists one known name a model', () => {
    expect(knownNames(loadManifest(), 'faces')).to.deep.equal(['yunet', 'face-pocket']);
  });
});
