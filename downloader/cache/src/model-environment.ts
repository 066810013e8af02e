/**
 * The variables that the downloader and the server read in the same way: the volume and the configured models. Each program has
 * further variables in its config.ts.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { once } from '@heimdex/common';
import { loadManifest } from './manifest.js';
import type { Manifest } from './manifest-types.js';
import { booleanVariable, enumVariable, readVariables, stringVariable, type VariableValues } from './variables.js';

/** The value that disables speech or vision. */
export const NO_MODEL = 'none';

/** The variables shared by both programs. --help and the docs are generated from this table. */
export const MODEL_VARIABLES = {
  modelsDir: stringVariable({
    name: 'MODELS_DIR',
    default: '/app/models',
    doc: 'Directory of the models volume. The cache is its .cache directory unless one of the variables below names another.',
    example: '/srv/models',
  }),
  hfHubCache: stringVariable({
    name: 'HF_HUB_CACHE',
    doc: 'The hub cache itself, the directory that contains models--org--name. Takes precedence over all below.',
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
    doc: "The cache variable of old releases of Python's transformers. Read after Hugging Face's own variables.",
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
    doc: 'Speech model: tiny, base, small, medium, large-v3-turbo, moonshine-tiny, a name of the manifest, or the org/name of a repository with a Whisper checkpoint or ONNX export. none disables speech.',
    example: 'base',
  }),
  visionModelName: stringVariable({
    name: 'VISION_MODEL_NAME',
    default: 'google/siglip-so400m-patch14-384',
    doc: 'Model of images and of the texts compared with them. none disables it.',
    example: 'Xenova/siglip-base-patch16-224',
  }),
  loadBgeM3: booleanVariable({
    name: 'LOAD_BGE_M3',
    default: false,
    doc: 'Whether to load the sentence embedder TEXT_MODEL_NAME.',
    example: 'true',
  }),
  textModelName: stringVariable({
    name: 'TEXT_MODEL_NAME',
    default: 'BAAI/bge-m3',
    doc: 'The sentence embedder enabled by LOAD_BGE_M3.',
    example: 'Xenova/all-MiniLM-L6-v2',
  }),
  featureFace: booleanVariable({
    name: 'FEATURE_FACE',
    default: false,
    doc: 'Whether to load the face detector FACE_MODEL_NAME.',
    example: 'true',
  }),
  faceModelName: stringVariable({
    name: 'FACE_MODEL_NAME',
    default: 'opencv/face_detection_yunet',
    doc: 'The face detector enabled by FEATURE_FACE.',
    example: 'opencv/face_detection_yunet',
  }),
  featureVad: booleanVariable({
    name: 'FEATURE_VAD',
    default: false,
    doc: 'Whether to load the voice activity detector with the speech model; required by vad_filter and by live.',
    example: 'true',
  }),
  device: enumVariable({
    name: 'DEVICE',
    words: ['cpu', 'cuda', 'auto'],
    default: 'cpu',
    doc: 'Where the server runs the models. cuda requires an NVIDIA GPU and the CUDA libraries of onnxruntime, and selects fp16 files where the manifest has them; auto uses CUDA if available, otherwise the CPU, with the files of the CPU.',
    example: 'cuda',
  }),
  manifestPath: stringVariable({
    name: 'MODELS_MANIFEST',
    doc: 'Your own manifest (JSON); its entries come before the built-in ones.',
    example: '/etc/heimdex/models.json',
  }),
  lockPath: stringVariable({
    name: 'MODELS_LOCK',
    doc: 'The lock file. Default: models.lock.json in the cache.',
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
    doc: 'Same as HF_HUB_OFFLINE.',
    example: '1',
  }),
} as const;

/** `auto`: CUDA if available, otherwise the CPU. */
export type Device = 'cpu' | 'cuda' | 'auto';

/** Volume and configured models, the same in both programs. All paths are absolute. */
export interface ModelEnvironment {
  /** The hub cache's root: the directory of `models--org--name`, of plain files and of the lock file. */
  readonly cacheDir: string;
  /** The variable that set `cacheDir`, for messages. */
  readonly cacheDirVariable: string;
  /** Path of the lock file, which need not exist. */
  readonly lockPath: string;
  /** Value of DEVICE: where models run, and so which of their files are used. */
  readonly device: Device;
  /** The manifest, with the user's own one. Read at the first call only: a pipe can be read once. Throws MANIFEST_INVALID. */
  readonly manifest: () => Manifest;
  /** Undefined: speech is disabled. */
  readonly asrModel: string | undefined;
  /** Undefined: vision is disabled. */
  readonly visionModelName: string | undefined;
  readonly loadBgeM3: boolean;
  readonly textModelName: string;
  readonly featureFace: boolean;
  readonly faceModelName: string;
  /** Only used if speech is enabled. */
  readonly featureVad: boolean;
  /** The variables that forbid requests to the downloader; empty: none does. */
  readonly offlineVariables: readonly string[];
}

/** Name of the lock file in the cache's root. */
export const LOCK_FILE_NAME = 'models.lock.json';

/**
 * Reads and validates the shared variables. The cache is the first of HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, `HF_HOME/hub`,
 * TRANSFORMERS_CACHE, `XDG_CACHE_HOME/huggingface/hub` and `MODELS_DIR/.cache`: the order of huggingface_hub, with
 * TRANSFORMERS_CACHE before the directory shared by all programs, because it is specific to models.
 *
 * Throws ENVIRONMENT_INVALID with every problem.
 */
export function readModelEnvironment(env: NodeJS.ProcessEnv): ModelEnvironment {
  const values = readVariables(env, MODEL_VARIABLES);
  const [cacheDir, cacheDirVariable] = resolveCacheDir(values, env);
  const manifestPath = values.manifestPath === undefined ? undefined : absolutePath(values.manifestPath, env);
  return {
    cacheDir,
    cacheDirVariable,
    lockPath: values.lockPath === undefined ? join(cacheDir, LOCK_FILE_NAME) : absolutePath(values.lockPath, env),
    device: values.device,
    manifest: once(() => loadManifest(manifestPath)),
    asrModel: unlessNone(values.asrModel),
    visionModelName: unlessNone(values.visionModelName),
    loadBgeM3: values.loadBgeM3,
    textModelName: values.textModelName,
    featureFace: values.featureFace,
    faceModelName: values.faceModelName,
    featureVad: values.featureVad,
    offlineVariables: [
      ...(values.hubOffline ? [MODEL_VARIABLES.hubOffline.name] : []),
      ...(values.transformersOffline ? [MODEL_VARIABLES.transformersOffline.name] : []),
    ],
  };
}

function resolveCacheDir(values: VariableValues<typeof MODEL_VARIABLES>, env: NodeJS.ProcessEnv): [string, string] {
  const candidates: readonly (readonly [string | undefined, string, readonly string[]])[] = [
    [values.hfHubCache, MODEL_VARIABLES.hfHubCache.name, []],
    [values.huggingfaceHubCache, MODEL_VARIABLES.huggingfaceHubCache.name, []],
    [values.hfHome, MODEL_VARIABLES.hfHome.name, ['hub']],
    [values.transformersCache, MODEL_VARIABLES.transformersCache.name, []],
    [values.xdgCacheHome, MODEL_VARIABLES.xdgCacheHome.name, ['huggingface', 'hub']],
  ];
  for (const [path, variable, below] of candidates) {
    if (path !== undefined) return [join(absolutePath(path, env), ...below), variable];
  }
  return [join(absolutePath(values.modelsDir, env), '.cache'), MODEL_VARIABLES.modelsDir.name];
}

/**
 * Resolves a path from the environment: `~` is the home directory, and `$NAME` and `${NAME}` are that variable if it is set, as in
 * huggingface_hub (docker's --env-file and systemd replace neither); relative to the working directory.
 */
export function absolutePath(path: string, env: NodeJS.ProcessEnv): string {
  const below = path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
  return resolve(below.replace(/\$(\w+|\{[^}]*\})/g, (text, name: string) => env[name.replace(/[{}]/g, '')] ?? text));
}

function unlessNone(name: string): string | undefined {
  return name.toLowerCase() === NO_MODEL ? undefined : name;
}
