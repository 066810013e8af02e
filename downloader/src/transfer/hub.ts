import { type Tree, type TreeEntry, unsafePathReason } from '@heimdex/cache';
import { asObject, formatBinaryBytes, MIB, parseForeignJson } from '@heimdex/common';
import { DownloaderError } from '../errors.js';
import { type Origin, type RequestTarget, webPageHint } from './answers.js';
import { collectBytes } from './collect-bytes.js';
import { decodedBody } from './content-coding.js';
import type { HttpAnswer, HttpClient } from './http.js';
import { expectOk, getFollowing } from './origin.js';
import { type RetryNotice, type RetryOptions, TransientError, withRetries } from './retry.js';

/** The hub's metadata API. */
export interface HubApi {
  /** Resolves a branch, tag or commit to a commit: 40 hex digits. */
  commit(repository: string, revision: string, signal: AbortSignal): Promise<string>;
  /** Lists all files of a commit. */
  tree(repository: string, commit: string, signal: AbortSignal): Promise<Tree>;
}

/** Dependencies of the API. */
export interface HubOptions {
  readonly http: HttpClient;
  readonly origin: Origin;
  readonly retry: RetryOptions;
  readonly onRetry: (notice: RetryNotice) => void;
}

/** Maximum size of a metadata answer: a tree of 100,000 files is about 20 MB. */
const MAX_JSON_BYTES = 64 * MIB;
/** Maximum size of all pages of a tree. */
const MAX_TREE_BYTES = 256 * MIB;
/** Maximum pages of a tree; the hub sends 1,000 entries per page. */
const MAX_PAGES = 1_000;

const REFUSALS: ReadonlySet<string> = new Set(['AUTH_REQUIRED', 'ACCESS_DENIED']);

/** Creates a client of the hub's API over HTTP. Every call is retried by the policy. */
export function openHub(options: HubOptions): HubApi {
  const { http, origin, retry, onRetry } = options;
  const getJson = (url: URL, target: RequestTarget, signal: AbortSignal) =>
    withRetries(
      async () => {
        const answer = await getFollowing(http, url, origin, { accept: 'application/json' }, target, signal);
        expectOk(answer, target, origin);
        const bytes = await collectBytes(decodedBody(answer, target), MAX_JSON_BYTES);
        if (bytes === undefined) throw shapeError(answer.url, target, `at most ${formatBinaryBytes(MAX_JSON_BYTES)}`);
        const value = parseJson(bytes.toString('utf8'), answer, target);
        return { value, sizeBytes: bytes.length, link: answer.header('link'), url: answer.url };
      },
      retry,
      signal,
      onRetry,
    );

  return {
    async commit(repository, revision, signal) {
      const target = { what: `the revision ${revision} of ${repository}`, page: repositoryPage(origin, repository) };
      const url = apiUrl(origin, repository, `revision/${encodeURIComponent(revision)}`);
      const { value } = await getJson(url, target, signal);
      const { sha } = asObject(value);
      if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) throw shapeError(url, target, 'a 40-digit "sha"');
      return sha;
    },

    async tree(repository, commit, signal) {
      const target = { what: `the file list of ${repository}`, page: repositoryPage(origin, repository) };
      const files = new Map<string, TreeEntry>();
      let next: URL | undefined = apiUrl(origin, repository, `tree/${commit}?recursive=true`);
      let totalBytes = 0;
      for (let page = 0; next !== undefined; page += 1) {
        if (page === MAX_PAGES) throw shapeError(next, target, `at most ${MAX_PAGES} pages`);
        const { value, sizeBytes, link, url }: Awaited<ReturnType<typeof getJson>> = await getJson(
          next,
          target,
          signal,
        ).catch((error: unknown) => {
          throw page === 0 ? error : laterPage(error, next, target);
        });
        totalBytes += sizeBytes;
        if (totalBytes > MAX_TREE_BYTES) throw shapeError(url, target, `at most ${formatBinaryBytes(MAX_TREE_BYTES)}`);
        if (!Array.isArray(value)) throw shapeError(url, target, 'a JSON array');
        for (const entry of value) {
          const file = readEntry(entry, url, target);
          if (file !== undefined) files.set(...file);
        }
        next = nextPage(link, url, target);
      }
      return files;
    },
  };
}

/** Returns the web page of a repository. */
export function repositoryPage(origin: Origin, repository: string): string {
  const { origin: host, pathname } = new URL(repository, directory(origin.endpoint));
  return `${host}${pathname}`;
}

/** Returns the address of a file's bytes. */
export function resolveUrl(origin: Origin, repository: string, commit: string, path: string): URL {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return new URL(`${repository}/resolve/${encodeURIComponent(commit)}/${encoded}`, directory(origin.endpoint));
}

function apiUrl(origin: Origin, repository: string, rest: string): URL {
  return new URL(`api/models/${repository}/${rest}`, directory(origin.endpoint));
}

/** Returns the endpoint with a trailing slash, so that a mirror may have a path. */
function directory(endpoint: URL): URL {
  return endpoint.pathname.endsWith('/') ? endpoint : new URL(`${endpoint.href}/`);
}

function parseJson(text: string, answer: HttpAnswer, target: RequestTarget): unknown {
  try {
    return parseForeignJson(text);
  } catch {
    // A proxy's error page or a truncated answer: worth a retry.
    throw new TransientError(shapeError(answer.url, target, 'JSON', webPageHint(answer)));
  }
}

function readEntry(entry: unknown, url: URL, target: RequestTarget): [string, TreeEntry] | undefined {
  const { type, path, size: sizeBytes, oid: blobId, xetHash: xet, lfs } = asObject(entry);
  if (type !== 'file') return undefined;
  if (typeof path !== 'string' || typeof blobId !== 'string' || !/^[0-9a-f]{40}$/.test(blobId)) {
    throw shapeError(url, target, 'entries with "path" and a 40-digit "oid"');
  }
  const unsafe = unsafePathReason(path);
  if (unsafe !== undefined) {
    throw new DownloaderError(
      'PATH_REFUSED',
      `${url.host} lists the file ${JSON.stringify(path)} in ${target.what}, which is rejected: ${unsafe}. Nothing was written. Check HF_ENDPOINT, then run: heimdex-downloader plan`,
    );
  }
  if (!isSize(sizeBytes)) throw shapeError(url, target, `a size for ${path}`);
  const xetHash = typeof xet === 'string' ? xet : undefined;
  if (lfs === undefined || lfs === null)
    return [path, { sizeBytes, blobId, lfsSha256: undefined, lfsSizeBytes: undefined, xetHash }];
  const { oid: lfsSha256, size } = asObject(lfs);
  const lfsSizeBytes = size ?? sizeBytes;
  if (typeof lfsSha256 !== 'string' || !/^[0-9a-f]{64}$/.test(lfsSha256) || !isSize(lfsSizeBytes)) {
    throw shapeError(url, target, `a 64-digit "lfs.oid" and a size for ${path}`);
  }
  return [path, { sizeBytes, blobId, lfsSha256, lfsSizeBytes, xetHash }];
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function nextPage(link: string | undefined, base: URL, target: RequestTarget): URL | undefined {
  const address = /<([^>]+)>[^<]*;\s*rel="?next"?/.exec(link ?? '')?.[1];
  if (address === undefined) return undefined;
  const next = URL.canParse(address, base.href) ? new URL(address, base) : undefined;
  if (next?.protocol === base.protocol || next?.protocol === 'https:') return next;
  throw shapeError(base, target, 'an address of its next page');
}

/** The first page was answered: neither the name nor the token is wrong. */
function laterPage(error: unknown, url: URL | undefined, target: RequestTarget): unknown {
  if (!(error instanceof DownloaderError) || !REFUSALS.has(error.code)) return error;
  return new DownloaderError(
    'ANSWER_INVALID',
    `${url?.host} refuses a later page of ${target.what}, whose first page was answered. A token goes only to HF_ENDPOINT: check that its pages lead nowhere else, and any proxy in between, then run: heimdex-downloader plan`,
    { cause: error },
  );
}

function shapeError(url: URL, target: RequestTarget, expected: string, hint = ''): DownloaderError {
  return new DownloaderError(
    'ANSWER_INVALID',
    `${url.host} sent an invalid answer for ${target.what}: expected ${expected}.${hint} Check that HF_ENDPOINT is a hub and that no proxy answers instead, then run: heimdex-downloader plan`,
  );
}
