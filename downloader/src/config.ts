import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  absolutePath,
  booleanVariable,
  enumVariable,
  hasCredentials,
  integerVariable,
  type ModelEnvironment,
  misspeltVariables,
  numberVariable,
  readAll,
  readModelEnvironment,
  readVariables,
  stringVariable,
  urlVariable,
  type VariableValues,
} from '@heimdex/cache';
import { codeOf, isNotFound, MIB, messageOf } from '@heimdex/common';
import type { LogConfig } from '@heimdex/common/log';
import { DownloaderError } from './errors.js';
import type { Token } from './transfer/answers.js';
import type { ProxyFor } from './transfer/proxy.js';
import { proxyEnvironment } from './transfer/proxy-environment.js';

/** The downloader's own variables, in addition to those shared with the server. --help and the docs are generated from this table. */
export const DOWNLOADER_VARIABLES = {
  endpoint: urlVariable({
    name: 'HF_ENDPOINT',
    default: 'https://huggingface.co',
    doc: 'The hub, or a mirror of it.',
    example: 'https://hub.example.com',
  }),
  token: stringVariable({
    name: 'HF_TOKEN',
    doc: 'Token for private or licensed repositories. Sent only to HF_ENDPOINT.',
    example: 'hf_...',
    secret: true,
  }),
  oldToken: stringVariable({
    name: 'HUGGING_FACE_HUB_TOKEN',
    doc: 'The old name of HF_TOKEN.',
    example: 'hf_...',
    secret: true,
  }),
  tokenPath: stringVariable({
    name: 'HF_TOKEN_PATH',
    doc: 'File with the token, used if HF_TOKEN is not set. Default: token in HF_HOME.',
    example: '/run/secrets/hf_token',
  }),
  noSavedToken: booleanVariable({
    name: 'HF_HUB_DISABLE_IMPLICIT_TOKEN',
    default: false,
    doc: 'true: the token that a login has saved in HF_HOME is not sent; one that HF_TOKEN or HF_TOKEN_PATH names still is.',
    example: 'true',
  }),
  connections: integerVariable({
    name: 'DOWNLOAD_CONNECTIONS',
    default: 8,
    min: 1,
    max: 64,
    doc: 'Maximum concurrent connections over all files.',
    example: '4',
  }),
  filesAtOnce: integerVariable({
    name: 'DOWNLOAD_FILES',
    default: 4,
    min: 1,
    max: 64,
    doc: 'Maximum files fetched concurrently.',
    example: '2',
  }),
  partMib: numberVariable({
    name: 'DOWNLOAD_PIECE_MIB',
    default: 16,
    min: 0.0625,
    max: 4096,
    doc: 'Size of one range request in MiB. Larger files are fetched in several concurrent ranges.',
    example: '32',
  }),
  stallSeconds: numberVariable({
    name: 'DOWNLOAD_STALL_SECONDS',
    default: 30,
    min: 0.1,
    max: 3600,
    doc: 'Seconds without a byte after which a connection is closed and opened again.',
    example: '60',
  }),
  maxAttempts: integerVariable({
    name: 'DOWNLOAD_ATTEMPTS',
    default: 8,
    min: 1,
    max: 100,
    doc: 'Consecutive failures without progress after which a request fails. If no host can be reached at all, the run fails after 2 s.',
    example: '3',
  }),
  initialDelaySeconds: numberVariable({
    name: 'DOWNLOAD_PAUSE_SECONDS',
    default: 0.5,
    min: 0,
    max: 60,
    doc: 'Delay before the first retry; it doubles with each further one, up to 30 s, with jitter.',
    example: '1',
  }),
  keepCheckpoints: booleanVariable({
    name: 'KEEP_CHECKPOINTS',
    default: true,
    doc: 'Whether a checkpoint stays on the volume after it is compiled and verified. true: other programs that share the cache still find it.',
    example: 'false',
  }),
  logLevel: enumVariable({
    name: 'LOG_LEVEL',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    doc: 'Minimum log level.',
    example: 'debug',
  }),
  logFormat: enumVariable({
    name: 'LOG_FORMAT',
    words: ['auto', 'human', 'json'],
    default: 'auto',
    doc: 'Log format; auto: human-readable on a terminal, JSON otherwise.',
    example: 'json',
  }),
} as const;

/** The validated configuration. */
export interface DownloaderConfig {
  readonly models: ModelEnvironment;
  readonly endpoint: URL;
  /** Reads the token on first use, so that a run without requests opens no token file. */
  readonly token: () => Token | undefined;
  readonly connections: number;
  readonly filesAtOnce: number;
  readonly partBytes: number;
  readonly stallMs: number;
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  /** False: a checkpoint is removed after it is compiled. */
  readonly keepCheckpoints: boolean;
  readonly proxyFor: ProxyFor;
  /** The first variable that names a file of certificates to Node.js or to other programs. */
  readonly certificateVariable: string | undefined;
  /** The environment for npm's own settings: `npm_config_registry` and similar, HOME for `.npmrc`. */
  readonly npmEnvironment: NodeJS.ProcessEnv;
  /** Warnings about variables that look misspelt. */
  readonly hints: readonly string[];
}

/** Reads the log's options, also of an environment that is wrong elsewhere; the defaults if one of them is wrong itself. */
export function logConfig(env: NodeJS.ProcessEnv): LogConfig {
  const { logLevel: level, logFormat: format } = DOWNLOADER_VARIABLES;
  try {
    return readVariables(env, { level, format });
  } catch {
    return { level: level.fallback, format: format.fallback };
  }
}

/**
 * Reads the configuration from the environment.
 * Throws CacheError ENVIRONMENT_INVALID with all problems.
 */
export function loadConfig(env: NodeJS.ProcessEnv): DownloaderConfig {
  const [models, own] = readAll(
    () => readModelEnvironment(env),
    () => readVariables(env, DOWNLOADER_VARIABLES),
  );
  const endpoint = new URL(own.endpoint);
  return {
    models,
    endpoint,
    token: () => {
      const given = tokenOfVariables(own);
      if (!hasCredentials(endpoint)) return given === undefined ? tokenOfFile(own, env) : checked(given);
      if (given === undefined && own.tokenPath === undefined) return undefined;
      const named = given?.from ?? 'HF_TOKEN_PATH';
      throw new DownloaderError(
        'USAGE',
        `HF_ENDPOINT has a user and a password, and ${named} is set: a request can have only one of them. Remove one of them, then run: heimdex-downloader download`,
      );
    },
    connections: own.connections,
    filesAtOnce: own.filesAtOnce,
    partBytes: Math.round(own.partMib * MIB),
    stallMs: own.stallSeconds * 1000,
    maxAttempts: own.maxAttempts,
    initialDelayMs: own.initialDelaySeconds * 1000,
    keepCheckpoints: own.keepCheckpoints,
    proxyFor: proxyEnvironment(env),
    certificateVariable: ['NODE_EXTRA_CA_CERTS', ...CERTIFICATE_VARIABLES].find((name) => env[name]?.trim()),
    npmEnvironment: env,
    hints: misspeltVariables(env, DOWNLOADER_VARIABLES),
  };
}

/** Of huggingface_hub and most others, of requests, and of curl. Node.js reads none of them. */
const CERTIFICATE_VARIABLES = ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'];

function hubHome(env: NodeJS.ProcessEnv): string {
  const home = env.HF_HOME?.trim();
  if (home) return absolutePath(home, env);
  const cache = env.XDG_CACHE_HOME?.trim();
  return join(cache ? absolutePath(cache, env) : join(homedir(), '.cache'), 'huggingface');
}

function tokenOfVariables({ token, oldToken }: VariableValues<typeof DOWNLOADER_VARIABLES>): Token | undefined {
  if (token !== undefined) return { value: token, from: 'HF_TOKEN' };
  return oldToken === undefined ? undefined : { value: oldToken, from: 'HUGGING_FACE_HUB_TOKEN' };
}

/** Throws DownloaderError USAGE for a token that is not a valid header value, which is not shown. */
function checked(token: Token): Token {
  if (/^[\x21-\x7e]+$/.test(token.value)) return token;
  throw new DownloaderError(
    'USAGE',
    `The token in ${token.from} must be printable ASCII without blanks or line breaks. Correct it, then run: heimdex-downloader download`,
  );
}

/** Throws DownloaderError USAGE for a file that cannot be read; only the default one may be missing or another user's. */
function tokenOfFile(
  { tokenPath: named, noSavedToken }: VariableValues<typeof DOWNLOADER_VARIABLES>,
  env: NodeJS.ProcessEnv,
): Token | undefined {
  if (named === undefined && noSavedToken) return undefined;
  const from = named === undefined ? join(hubHome(env), 'token') : absolutePath(named, env);
  const value = readTokenFile(from, named === undefined);
  return value === undefined ? undefined : checked({ value, from });
}

const NOT_ALLOWED = new Set(['EACCES', 'EPERM']);

function readTokenFile(path: string, isDefault: boolean): string | undefined {
  try {
    const token = readFileSync(path, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch (cause) {
    // In a container HOME may be another user's.
    if (isDefault && (isNotFound(cause) || NOT_ALLOWED.has(codeOf(cause) ?? ''))) return undefined;
    throw new DownloaderError(
      'USAGE',
      `HF_TOKEN_PATH: ${path} cannot be read: ${messageOf(cause)}. Correct the path or the file's mode, or set HF_TOKEN, then run: heimdex-downloader download`,
      { cause },
    );
  }
}
