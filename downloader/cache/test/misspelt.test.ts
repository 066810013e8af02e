import { expect } from 'chai';
import {
  countSlips,
  integerVariable,
  loadManifest,
  MODEL_VARIABLES,
  misspeltVariables,
  nearestWord,
  resolveModel,
  stringVariable,
} from '../src/index.js';

const OWN = {
  files: integerVariable({ name: 'DOWNLOAD_FILES', default: 4, min: 1, max: 64, doc: '', example: '' }),
  cert: stringVariable({ name: 'TLS_CERT_FILE', doc: '', example: '' }),
};

describe('misspelt names', () => {
  it('are counted by edits: an additional, missing, changed letter, or two swapped ones', () => {
    expect(countSlips('medium', 'medium')).to.equal(0);
    expect(countSlips('meduim', 'medium')).to.equal(1);
    expect(countSlips('mediumm', 'medium')).to.equal(1);
    expect(countSlips('', 'abc')).to.equal(3);
    expect(countSlips('abc', '')).to.equal(3);
    expect(nearestWord('medium', ['medium', 'mediun'])).to.equal(undefined);
    expect(nearestWord('tny', ['base', 'tiny'])).to.equal('tiny');
    expect(nearestWord('x'.repeat(100_000), ['base'])).to.equal(undefined);
  });

  const misspelt: [string, string][] = [
    ['ASR_MODLE', 'ASR_MODEL'],
    ['ARS_MODEL', 'ASR_MODEL'],
    ['ASR_MODELS', 'ASR_MODEL'],
    ['asr_model', 'ASR_MODEL'],
    ['ASRMODEL', 'ASR_MODEL'],
    ['ASR_MODEL_NAME', 'ASR_MODEL'],
    ['VISION_MODEL', 'VISION_MODEL_NAME'],
    ['VISON_MODEL_NAME', 'VISION_MODEL_NAME'],
    ['MODEL_DIR', 'MODELS_DIR'],
    ['HF_HUB_OFLINE', 'HF_HUB_OFFLINE'],
    ['HF_HMOE', 'HF_HOME'],
    ['LOAD_BGE_M', 'LOAD_BGE_M3'],
    ['FEATURE_FACES', 'FEATURE_FACE'],
    ['DOWNLAOD_FILES', 'DOWNLOAD_FILES'],
  ];
  for (const [name, meant] of misspelt) {
    it(`of variables are noticed: ${name}`, () => {
      const [sentence, ...others] = misspeltVariables({ [name]: 'x' }, OWN);
      expect(sentence).to.include(`${name} is not a variable`).and.include(`did you mean ${meant}?`);
      expect(others).to.deep.equal([]);
    });
  }

  it('are not seen in variables that are ours, that are empty, or that are somebody else’s', () => {
    const ours = Object.fromEntries(Object.values({ ...MODEL_VARIABLES, ...OWN }).map(({ name }) => [name, 'x']));
    const others = [
      'HOME PATH PWD SHELL USER LANG TERM TMPDIR HOSTNAME EDITOR PORTS HOSTS DEVICES POST DEVICE_ID LC_ALL TZ',
      'XDG_DATA_HOME XDG_STATE_HOME XDG_CONFIG_HOME XDG_RUNTIME_DIR XDG_CACHE SSL_CERT_FILE SSL_CERT_DIR NODE_OPTIONS',
      'HF_TOKEN HF_ENDPOINT HF_HUB_ETAG_TIMEOUT HF_HUB_DOWNLOAD_TIMEOUT HF_ASSETS_CACHE HF_XET_CACHE HF_DATASETS_CACHE',
      'HF_HUB_ENABLE_HF_TRANSFER HF_HUB_VERBOSITY HF_MODULES_CACHE HF_DATASETS_OFFLINE HF_HUB_DISABLE_TELEMETRY',
      'HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy no_proxy npm_config_cache npm_config_registry npm_package_name',
      'CUDA_VISIBLE_DEVICES NVIDIA_VISIBLE_DEVICES KUBERNETES_PORT KUBERNETES_SERVICE_HOST MODEL_SERVICE_PORT FEATURE_FAST',
      'OTEL_TRACES_EXPORTER LOG_FILE LOG_DIR PYTORCH_TRANSFORMERS_CACHE TORCH_HOME COMPOSE_PROJECT_NAME MODEL_PORT',
    ];
    const foreign = Object.fromEntries(others.flatMap((line) => line.split(' ')).map((name) => [name, 'x']));
    expect(misspeltVariables({ ...ours, ...foreign, ASR_MODLE: ' ' }, OWN)).to.deep.equal([]);
  });

  const models: ['speech' | 'vision' | 'text' | 'faces', string, string][] = [
    ['speech', 'meduim', 'medium'],
    ['speech', 'bse', 'base'],
    ['speech', 'large-v3-tubro', 'large-v3-turbo'],
    ['speech', 'none ', 'none'],
    ['speech', 'meduim:fp32', 'medium'],
    ['vision', 'siglip-so40m', 'siglip-so400m'],
    ['faces', 'opencv/face_detection_yumet', 'opencv/face_detection_yunet'],
    ['speech', 'base:fp23', 'base:fp32'],
    ['speech', 'openai/whisper-medium/', 'openai/whisper-medium'],
    ['speech', 'Whisper-medium', 'openai/whisper-medium'],
    ['speech', 'https://huggingface.co/acme/whisper/tree/main', 'acme/whisper'],
    ['speech', 'huggingface.co/acme/whisper', 'acme/whisper'],
    ['vision', 'hf://google/siglip-base-patch16-224', 'google/siglip-base-patch16-224'],
  ];
  for (const [role, name, meant] of models) {
    it(`of models are noticed: ${name}`, () => {
      expect(() => resolveModel(loadManifest(), role, name)).to.throw(`; did you mean "${meant}"?`);
    });
  }

  for (const [role, name, meant] of [
    ['vision', 'google/siglip-so400m-patch14-348', 'google/siglip-so400m-patch14-384'],
    ['text', 'BAAI/bge-m', 'BAAI/bge-m3'],
  ] as const) {
    it(`of repositories are kept for the error that the hub's answer will be: ${name}`, () => {
      expect(resolveModel(loadManifest(), role, name).suggestion).to.equal(`; did you mean "${meant}"?`);
    });
  }

  it('of models far from all that are known are answered by the list alone', () => {
    expect(() => resolveModel(loadManifest(), 'speech', 'gigantic')).to.throw(/got "gigantic"$/);
  });
});
