import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  absolutePath,
  booleanVariable,
  enumVariable,
  integerVariable,
  type ModelEnvironment,
  misspeltVariables,
  numberVariable,
  readAll,
  readModelEnvironment,
  readVariables,
  stringVariable,
  urlVariable,
} from '@heimdex/cache';
import { getProxyForUrl } from 'proxy-from-env';
import { DownloaderError } from './errors.js';
import type { ProxyFor } from './transfer/proxy.js';

/** The downloader's own variables, beside those it shares with the server. --help and the README are made from this table. */
export const DOWNLOADER_VARIABLES = {
  endpoint: urlVariable({
    name: 'HF_ENDPOINT',
    default: 'https://huggingface.co',
    doc: 'The hub, or a mirror of it.',
    example: 'https://hub.example.com',
  }),
  token: stringVariable({
    name: 'HF_TOKEN',
    doc: 'Token for private or licensed repositories. Sent to HF_ENDPOINT alone.',
    example: 'hf_...',
    secret: true,
  }),
  tokenPath: stringVariable({
    name: 'HF_TOKEN_PATH',
    doc: 'File that holds the token, where HF_TOKEN is not set. Default: token in HF_HOME.',
    example: '/run/secrets/hf_token',
  }),
  connections: integerVariable({
    name: 'DOWNLOAD_CONNECTIONS',
    default: 8,
    min: 1,
    max: 64,
    doc: 'Connections at once, over all files.',
    example: '4',
  }),
  filesAtOnce: integerVariable({
    name: 'DOWNLOAD_FILES',
    default: 4,
    min: 1,
    max: 64,
    doc: 'Files fetched at once.',
    example: '2',
  }),
  partMib: numberVariable({
    name: 'DOWNLOAD_PIECE_MIB',
    default: 16,
    min: 0.0625,
    max: 4096,
    doc: 'Size of one request in MiB. A larger file is fetched in several such parts at once.',
    example: '32',
  }),
  stallSeconds: numberVariable({
    name: 'DOWNLOAD_STALL_SECONDS',
    default: 30,
    min: 0.1,
    max: 3600,
    doc: 'A connection on which no byte comes for so many seconds is given up and made anew.',
    example: '60',
  }),
  attempts: integerVariable({
    name: 'DOWNLOAD_ATTEMPTS',
    default: 8,
    min: 1,
    max: 100,
    doc: 'Failures in a row, without a byte in between, after which a request is given up. Where nobody at all is reached from the start, 2 s end it.',
    example: '3',
  }),
  pauseSeconds: numberVariable({
    name: 'DOWNLOAD_PAUSE_SECONDS',
    default: 0.5,
    min: 0,
    max: 60,
    doc: 'Pause before the second attempt; it doubles with each further one, up to 30 s, and is jittered.',
    example: '1',
  }),
  keepCheckpoints: booleanVariable({
    name: 'KEEP_CHECKPOINTS',
    default: true,
    doc: 'Whether a checkpoint stays on the volume once it is compiled and every byte of that is proved. true: other programs that share the cache still find it.',
    example: 'false',
  }),
  logLevel: enumVariable({
    name: 'LOG_LEVEL',
    words: ['debug', 'info', 'warn', 'error', 'silent'],
    default: 'info',
    doc: 'The least important log lines that are written.',
    example: 'debug',
  }),
  logFormat: enumVariable({
    name: 'LOG_FORMAT',
    words: ['auto', 'human', 'json'],
    default: 'auto',
    doc: 'How log lines look; auto: human on a terminal, JSON elsewhere.',
    example: 'json',
  }),
} as const;

/** What the environment says, checked. */
export interface DownloaderConfig {
  readonly models: ModelEnvironment;
  readonly endpoint: URL;
  /** Reads the token when it is first needed, so that a run without requests opens no file for it. */
  readonly token: () => string | undefined;
  readonly connections: number;
  readonly filesAtOnce: number;
  readonly partBytes: number;
  readonly stallMs: number;
  readonly attempts: number;
  readonly pauseMs: number;
  /** False: a checkpoint is removed once it is compiled. */
  readonly keepCheckpoints: boolean;
  readonly proxyFor: ProxyFor;
  /** The environment as npm's own settings read it: `npm_config_registry` and its like, HOME for `.npmrc`. */
  readonly npmEnvironment: NodeJS.ProcessEnv;
  readonly log: LogConfig;
  /** Sentences about variables that look misspelt. */
  readonly hints: readonly string[];
}

/** What the log is to look like. */
export interface LogConfig {
  readonly level: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'auto' | 'human' | 'json';
}

/**
 * Reads the environment.
 *
 * @throws CacheError ENVIRONMENT_INVALID with all problems at once.
 */
export function loadConfig(env: NodeJS.ProcessEnv): DownloaderConfig {
  const [models, own] = readAll(
    () => readModelEnvironment(env),
    () => readVariables(env, DOWNLOADER_VARIABLES),
  );
  return {
    models,
    endpoint: new URL(own.endpoint),
    token: () => readToken(own.token, own.tokenPath ?? join(hubHome(env), 'token')),
    connections: own.connections,
    filesAtOnce: own.filesAtOnce,
    partBytes: Math.round(own.partMib * 1024 * 1024),
    stallMs: own.stallSeconds * 1000,
    attempts: own.attempts,
    pauseMs: own.pauseSeconds * 1000,
    keepCheckpoints: own.keepCheckpoints,
    proxyFor,
    npmEnvironment: env,
    log: { level: own.logLevel, format: own.logFormat },
    hints: misspeltVariables(env, DOWNLOADER_VARIABLES),
  };
}

/**
 * HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY in either case, as proxy-from-env reads them.
 *
 * @throws DownloaderError USAGE for a proxy that is none; its address may hold a password, so it is not shown.
 */
function proxyFor(url: URL): URL | undefined {
  const text = getProxyForUrl(url.href);
  if (text === '') return undefined;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  const came = proxy === undefined ? 'something that is no address' : `a proxy of the kind ${proxy.protocol}//`;
  throw new DownloaderError(
    'USAGE',
    `${url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'} (or ALL_PROXY) must be an address like http://host:port, got ${came}. Correct it, or name ${url.hostname} in NO_PROXY, then run: heimdex-downloader download`,
  );
}

function hubHome(env: NodeJS.ProcessEnv): string {
  const home = env.HF_HOME?.trim();
  if (home) return absolutePath(home);
  const cache = env.XDG_CACHE_HOME?.trim();
  return join(cache ? absolutePath(cache) : join(homedir(), '.cache'), 'huggingface');
}

/** @throws DownloaderError USAGE for a text that no request's header can hold; it is not shown. */
function readToken(given: string | undefined, path: string): string | undefined {
  const token = given ?? readTokenFile(absolutePath(path));
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new DownloaderError(
    'USAGE',
    `${given === undefined ? `The token in ${path}` : 'HF_TOKEN'} must be one word of plain letters and digits, got blanks, line breaks or other letters in it. Correct it, then run: heimdex-downloader download`,
  );
}

function readTokenFile(path: string): string | undefined {
  try {
    const token = readFileSync(path, 'utf8').trim();
    return token === '' ? undefined : token;
  } catch {
    return undefined;
  }
}
