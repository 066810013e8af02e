/**
 * The variables that the downloader and the server must read in the same way: where the volume is and which models are
 * wanted. Each program has its own further variables in its config.ts.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { booleanVariable, enumVariable, readVariables, stringVariable, type VariableValues } from './variables.js';

/** The word that switches speech or vision off. */
export const NO_MODEL = 'none';

/** Every variable that both programs share. --help and the README are made from this table. */
export const MODEL_VARIABLES = {
  modelsDir: stringVariable({
    name: 'MODELS_DIR',
    default: '/app/models',
    doc: 'Directory of the models volume. The cache lies in its .cache directory unless one of the variables below names another.',
    example: '/srv/models',
  }),
  hfHubCache: stringVariable({
    name: 'HF_HUB_CACHE',
    doc: 'The hub cache itself, the directory that holds models--org--name. Wins over all below.',
    example: '/app/models/.cache',
  }),
  huggingfaceHubCache: stringVariable({
    name: 'HUGGINGFACE_HUB_CACHE',
    doc: 'The old name of HF_HUB_CACHE.',
    example: '/app/models/.cache',
  }),
  hfHome: stringVariable({
    name: 'HF_HOME',
    doc: "Hugging Face's directory; the cache is hub inside it.",
    example: '/app/models/.cache',
  }),
  transformersCache: stringVariable({
    name: 'TRANSFORMERS_CACHE',
    doc: "The cache as old releases of Python's transformers named it. Taken after Hugging Face's own variables.",
    example: '/app/models/.cache',
  }),
  xdgCacheHome: stringVariable({
    name: 'XDG_CACHE_HOME',
    doc: "The user's cache directory; the cache is huggingface/hub inside it.",
    example: '/home/me/.cache',
  }),
  asrModel: stringVariable({
    name: 'ASR_MODEL',
    default: 'medium',
    doc: 'Speech model: tiny, base, small, medium, large-v3-turbo, moonshine-tiny, a name of the manifest, or org/name of a repository with the layout of the Whisper exports. none switches speech off.',
    example: 'base',
  }),
  visionModelName: stringVariable({
    name: 'VISION_MODEL_NAME',
    default: 'google/siglip-so400m-patch14-384',
    doc: 'Model of images and of the texts that are compared with them. none switches it off.',
    example: 'Xenova/siglip-base-patch16-224',
  }),
  loadBgeM3: booleanVariable({
    name: 'LOAD_BGE_M3',
    default: false,
    doc: 'Whether the sentence embedder TEXT_MODEL_NAME is wanted.',
    example: 'true',
  }),
  textModelName: stringVariable({
    name: 'TEXT_MODEL_NAME',
    default: 'BAAI/bge-m3',
    doc: 'The sentence embedder that LOAD_BGE_M3 switches on.',
    example: 'Xenova/all-MiniLM-L6-v2',
  }),
  featureFace: booleanVariable({
    name: 'FEATURE_FACE',
    default: false,
    doc: 'Whether the face detector FACE_MODEL_NAME is wanted.',
    example: 'true',
  }),
  faceModelName: stringVariable({
    name: 'FACE_MODEL_NAME',
    default: 'opencv/face_detection_yunet',
    doc: 'The face detector that FEATURE_FACE switches on.',
    example: 'opencv/face_detection_yunet',
  }),
  featureVad: booleanVariable({
    name: 'FEATURE_VAD',
    default: false,
    doc: 'Whether the detector of voice activity is wanted beside the speech model: vad_filter needs it.',
    example: 'true',
  }),
  device: enumVariable({
    name: 'DEVICE',
    words: ['cpu', 'cuda', 'auto'],
    default: 'cpu',
    doc: 'Where the server runs the models. cuda needs an NVIDIA GPU and the CUDA libraries of onnxruntime, and makes both programs take fp16 files where the manifest has them; auto takes CUDA where it opens, else the CPU, and the files of the CPU.',
    example: 'cuda',
  }),
  manifestPath: stringVariable({
    name: 'MODELS_MANIFEST',
    doc: 'A manifest of your own (JSON); its entries come before the built-in ones.',
    example: '/etc/heimdex/models.json',
  }),
  lockPath: stringVariable({
    name: 'MODELS_LOCK',
    doc: 'The lock file. models.lock.json in the cache when not set.',
    example: '/etc/heimdex/models.lock.json',
  }),
  hubOffline: booleanVariable({
    name: 'HF_HUB_OFFLINE',
    default: false,
    doc: 'The downloader makes no request and lists what is missing. The server never makes one.',
    example: '1',
  }),
  transformersOffline: booleanVariable({
    name: 'TRANSFORMERS_OFFLINE',
    default: false,
    doc: 'The same as HF_HUB_OFFLINE.',
    example: '1',
  }),
} as const;

/** `auto`: CUDA where it opens, else the CPU. */
export type Device = 'cpu' | 'cuda' | 'auto';

/** Where the volume is and which models are wanted; the same in both programs. All paths are absolute. */
export interface ModelEnvironment {
  readonly modelsDir: string;
  /** The hub cache's root: the directory of `models--org--name`, of plain files and of the lock file. */
  readonly cacheDir: string;
  /** The variable that gave `cacheDir`: the one to change when the cache is not where it should be. */
  readonly cacheDirVariable: string;
  /** The lock file; need not exist. */
  readonly lockPath: string;
  /** What DEVICE says: where models are run, and so which of their files are wanted. */
  readonly device: Device;
  /** A manifest of the user's own, or undefined. */
  readonly manifestPath: string | undefined;
  /** Undefined: speech is off. */
  readonly asrModel: string | undefined;
  /** Undefined: vision is off. */
  readonly visionModelName: string | undefined;
  readonly loadBgeM3: boolean;
  readonly textModelName: string;
  readonly featureFace: boolean;
  readonly faceModelName: string;
  /** Counts only where speech is on. */
  readonly featureVad: boolean;
  /** True: the downloader makes no request. */
  readonly offline: boolean;
}

/** Name of the lock file in the cache's root. */
export const LOCK_FILE_NAME = 'models.lock.json';

/**
 * Reads and checks the shared variables. Where the cache lies: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE, else
 * `HF_HOME/hub`, else TRANSFORMERS_CACHE, else `XDG_CACHE_HOME/huggingface/hub`, else `MODELS_DIR/.cache`: the order of
 * huggingface_hub, with TRANSFORMERS_CACHE before the directory that all programs share because it speaks of models alone.
 *
 * Throws ENVIRONMENT_INVALID with every problem at once.
 */
export function readModelEnvironment(env: NodeJS.ProcessEnv): ModelEnvironment {
  const values = readVariables(env, MODEL_VARIABLES);
  const modelsDir = absolutePath(values.modelsDir);
  const [cacheDir, cacheDirVariable] = resolveCacheDir(values, modelsDir);
  return {
    modelsDir,
    cacheDir,
    cacheDirVariable,
    lockPath: values.lockPath === undefined ? join(cacheDir, LOCK_FILE_NAME) : absolutePath(values.lockPath),
    device: values.device,
    manifestPath: values.manifestPath === undefined ? undefined : absolutePath(values.manifestPath),
    asrModel: unlessNone(values.asrModel),
    visionModelName: unlessNone(values.visionModelName),
    loadBgeM3: values.loadBgeM3,
    textModelName: values.textModelName,
    featureFace: values.featureFace,
    faceModelName: values.faceModelName,
    featureVad: values.featureVad,
    offline: values.hubOffline || values.transformersOffline,
  };
}

function resolveCacheDir(values: VariableValues<typeof MODEL_VARIABLES>, modelsDir: string): [string, string] {
  const candidates: readonly (readonly [string | undefined, string, readonly string[]])[] = [
    [values.hfHubCache, MODEL_VARIABLES.hfHubCache.name, []],
    [values.huggingfaceHubCache, MODEL_VARIABLES.huggingfaceHubCache.name, []],
    [values.hfHome, MODEL_VARIABLES.hfHome.name, ['hub']],
    [values.transformersCache, MODEL_VARIABLES.transformersCache.name, []],
    [values.xdgCacheHome, MODEL_VARIABLES.xdgCacheHome.name, ['huggingface', 'hub']],
  ];
  for (const [path, variable, below] of candidates) {
    if (path !== undefined) return [join(absolutePath(path), ...below), variable];
  }
  return [join(modelsDir, '.cache'), MODEL_VARIABLES.modelsDir.name];
}

/** A path from the environment: `~` is the home directory, as in Python's expanduser; the rest is taken from the working directory. */
export function absolutePath(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(path);
}

function unlessNone(name: string): string | undefined {
  return name.toLowerCase() === NO_MODEL ? undefined : name;
}
