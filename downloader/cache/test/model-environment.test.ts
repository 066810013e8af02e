import { rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect } from 'chai';
import { loadManifest, MODEL_VARIABLES, readModelEnvironment, resolveModels } from '../src/index.js';
import { cacheErrorOf } from './support/rejection.js';
import { useTempDir } from './support/temp-dir.js';

const cacheOf = (env: NodeJS.ProcessEnv) => {
  const { cacheDir, cacheDirVariable } = readModelEnvironment(env);
  return [cacheDir, cacheDirVariable];
};

describe('model environment', () => {
  const dir = useTempDir();

  it('has the documented defaults', () => {
    const { manifest, ...values } = readModelEnvironment({});
    expect(manifest()).to.deep.equal(loadManifest());
    expect(values).to.deep.equal({
      cacheDir: '/app/models/.cache',
      cacheDirVariable: 'MODELS_DIR',
      lockPath: '/app/models/.cache/models.lock.json',
      asrModel: 'medium',
      visionModelName: 'google/siglip-so400m-patch14-384',
      loadBgeM3: false,
      textModelName: 'BAAI/bge-m3',
      featureFace: false,
      faceModelName: 'opencv/face_detection_yunet',
      featureVad: false,
      device: 'cpu',
      offlineVariables: [],
    });
  });

  it('finds the cache as huggingface_hub does, by the most specific variable', () => {
    const env: NodeJS.ProcessEnv = {
      MODELS_DIR: '/m',
      XDG_CACHE_HOME: '/xdg',
      TRANSFORMERS_CACHE: '/transformers',
      HF_HOME: '/hf',
      HUGGINGFACE_HUB_CACHE: '/old',
      HF_HUB_CACHE: '/hub',
    };
    expect(cacheOf(env)).to.deep.equal(['/hub', 'HF_HUB_CACHE']);
    delete env.HF_HUB_CACHE;
    expect(cacheOf(env)).to.deep.equal(['/old', 'HUGGINGFACE_HUB_CACHE']);
    delete env.HUGGINGFACE_HUB_CACHE;
    expect(cacheOf(env)).to.deep.equal(['/hf/hub', 'HF_HOME']);
    delete env.HF_HOME;
    expect(cacheOf(env)).to.deep.equal(['/transformers', 'TRANSFORMERS_CACHE']);
    delete env.TRANSFORMERS_CACHE;
    expect(cacheOf(env)).to.deep.equal(['/xdg/huggingface/hub', 'XDG_CACHE_HOME']);
    delete env.XDG_CACHE_HOME;
    expect(cacheOf(env)).to.deep.equal(['/m/.cache', 'MODELS_DIR']);
  });

  it('uses HF_HUB_CACHE if all four variables name one directory', () => {
    const dir = '/app/models/.cache';
    const env = { HF_HOME: dir, HF_HUB_CACHE: dir, XDG_CACHE_HOME: dir, TRANSFORMERS_CACHE: dir };
    expect(cacheOf(env)).to.deep.equal([dir, 'HF_HUB_CACHE']);
  });

  it('makes every path absolute, with ~ as the home directory', () => {
    const env = readModelEnvironment({ HF_HUB_CACHE: '~/cache', MODELS_LOCK: 'lock.json' });
    expect(env.cacheDir).to.equal(join(homedir(), 'cache'));
    expect(cacheOf({ MODELS_DIR: 'models' })).to.deep.equal([resolve('models/.cache'), 'MODELS_DIR']);
    expect(env.lockPath).to.equal(resolve('lock.json'));
  });

  // As os.path.expandvars of Python, which huggingface_hub calls for these variables.
  for (const [path, expected] of [
    ['$DATA/hub', '/srv/data/hub'],
    [`/x/$${'{DATA}'}/hub`, '/x/srv/data/hub'],
    [`~/$UNKNOWN/$${'{UNKNOWN}'}`, join(homedir(), `$UNKNOWN/$${'{UNKNOWN}'}`)],
    ['/x/$', '/x/$'],
  ] as const) {
    it(`replaces variables that are set in a path: ${path}`, () => {
      const env = { DATA: '/srv/data' };
      expect(cacheOf({ ...env, HF_HUB_CACHE: path })[0]).to.equal(expected);
      expect(cacheOf({ ...env, HF_HOME: path })[0]).to.equal(join(expected, 'hub'));
    });
  }

  it('reads the manifest once, as one of a pipe can be read', async () => {
    const path = join(dir(), 'manifest.json');
    await writeFile(path, JSON.stringify({ formatVersion: 1, models: [] }));
    const environment = readModelEnvironment({ MODELS_MANIFEST: path, ASR_MODEL: 'tiny' });
    const [speech] = resolveModels(environment);
    await rm(path);
    expect(resolveModels(environment)[0]).to.deep.equal(speech);
  });

  it('switches speech and vision off with none', () => {
    const env = readModelEnvironment({ ASR_MODEL: 'none', VISION_MODEL_NAME: 'None' });
    expect([env.asrModel, env.visionModelName]).to.deep.equal([undefined, undefined]);
  });

  it('is offline by either of the two variables', () => {
    const offlineBy = (env: NodeJS.ProcessEnv) => readModelEnvironment(env).offlineVariables;
    expect(offlineBy({ HF_HUB_OFFLINE: '1' })).to.deep.equal(['HF_HUB_OFFLINE']);
    expect(offlineBy({ HF_HUB_OFFLINE: '0', TRANSFORMERS_OFFLINE: 'on' })).to.deep.equal(['TRANSFORMERS_OFFLINE']);
  });

  it('reports all wrong values at once', async () => {
    const env = { LOAD_BGE_M3: 'perhaps', FEATURE_FACE: '2', HF_HUB_OFFLINE: 'x' };
    const error = await cacheErrorOf(() => readModelEnvironment(env));
    expect(error.code).to.equal('ENVIRONMENT_INVALID');
    expect(error.problems).to.have.length(3);
  });

  it('describes every variable, each by its own name', () => {
    const variables = Object.values(MODEL_VARIABLES);
    expect(new Set(variables.map(({ name }) => name)).size).to.equal(variables.length);
    for (const { name, doc, example } of variables) {
      expect(doc, name).to.match(/\.$/);
      expect(example, name).to.not.equal('');
    }
  });
});
