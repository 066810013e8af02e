/** Routing and access control of the hub. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { sendInfo, sendPathsInfo, sendTree } from './api-routes.js';
import { Exchange, type ExchangeContext, type RequestAbout } from './exchange.js';
import type { Commit, CommittedFile } from './repository.js';
import { sendFile } from './send-file.js';
import type { LinkSigner } from './signed-link.js';
import type { RepositoryStore, StoredRepository } from './store.js';

export interface HubContext extends ExchangeContext {
  readonly store: RepositoryStore;
  readonly signer: LinkSigner;
  /** URL of the second server; read at each request because its port is assigned late. */
  readonly cdnUrl: () => string;
  /** Token with access to private and gated repositories. */
  readonly token: string | undefined;
  /** Valid tokens that have not accepted any licence. */
  readonly strangerTokens: readonly string[];
  readonly pageSize: number | undefined;
}

interface Route extends RequestAbout {
  readonly repository: string;
  readonly revision: string;
  readonly action: 'info' | 'tree' | 'paths-info' | 'resolve' | 'cached';
  /** Path of a file, or of a directory for `tree`. */
  readonly path: string;
}

/** Handles one request to the hub. */
export async function handleHub(
  request: IncomingMessage,
  response: ServerResponse,
  context: HubContext,
): Promise<void> {
  const route = parseRoute(request.url ?? '', context.store);
  const exchange = new Exchange(request, response, context, route ?? { kind: 'other' });
  if (!(await exchange.begin())) return;
  if (route === undefined) {
    exchange.error(404, undefined, "Sorry, we can't find the page you are looking for.");
    return;
  }
  const moved = context.store.movedTo(route.repository);
  if (moved !== undefined) {
    exchange.send(307, { location: (request.url ?? '').replace(route.repository, moved) }, '');
    return;
  }
  const repository = allowed(exchange, route, context);
  if (repository === undefined) return;
  const commit = context.store.commit(repository, route.revision);
  if (commit === undefined) {
    exchange.error(404, 'RevisionNotFound', `Invalid rev id: ${route.revision}`);
    return;
  }
  await answer(exchange, route, repository, commit, context);
}

async function answer(
  exchange: Exchange,
  route: Route,
  repository: StoredRepository,
  commit: Commit,
  context: HubContext,
): Promise<void> {
  switch (route.action) {
    case 'info':
      return sendInfo(exchange, repository, commit);
    case 'tree':
      return sendTree(exchange, commit, route.path, context.pageSize);
    case 'paths-info':
      return sendPathsInfo(exchange, commit, await text(exchange.request));
  }
  const file = commit.files.get(route.path);
  if (file === undefined) {
    exchange.error(404, 'EntryNotFound', 'Entry not found', { 'x-repo-commit': commit.sha });
  } else if (route.action === 'resolve') {
    sendResolve(exchange, route.repository, file, commit, context);
  } else {
    await sendFile(exchange, file, { etag: `"${file.oid}"`, 'x-repo-commit': commit.sha });
  }
}

/**
 * `/<org>/<name>/resolve/<revision>/<path>`. An LFS file: 302 to a signed URL on the second server. A regular file: a
 * relative 307 to the hub's cache of small files. Both responses have the hash and size in X-Linked headers.
 */
function sendResolve(
  exchange: Exchange,
  repository: string,
  file: CommittedFile,
  commit: Commit,
  context: HubContext,
): void {
  const lie = exchange.lie();
  const blobId = file.lfsOid ?? file.oid;
  const headers = {
    'x-repo-commit': commit.sha,
    'x-linked-size': file.sizeBytes + lie,
    'x-linked-etag': `"${blobId}"`,
    'accept-ranges': 'bytes',
  };
  if (file.lfsOid !== undefined) {
    const link = context.signer.sign({ repository, file: file.path, blobId });
    exchange.send(302, { ...headers, location: context.cdnUrl() + link }, '');
    return;
  }
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  exchange.send(307, { ...headers, location: `/api/resolve-cache/models/${repository}/${commit.sha}/${path}` }, '');
}

/** Returns the repository if the caller has access; else sends the real hub's error. */
function allowed(exchange: Exchange, route: Route, context: HubContext): StoredRepository | undefined {
  const repository = context.store.get(route.repository);
  const { token } = exchange;
  const known = token === undefined || token === context.token || context.strangerTokens.includes(token);
  if (!known) {
    exchange.error(401, undefined, 'Invalid credentials in Authorization header');
    return undefined;
  }
  const trusted = context.token !== undefined && token === context.token;
  if (repository === undefined || (repository.private && !trusted)) {
    // The real hub does not reveal whether a private repository exists.
    if (token === undefined) exchange.error(401, 'RepoNotFound', 'Invalid username or password.');
    else exchange.error(404, 'RepoNotFound', 'Repository not found');
    return undefined;
  }
  if (repository.gated && !trusted && (route.action === 'resolve' || route.action === 'cached')) {
    const message = `Access to model ${repository.name} is restricted. You must be authenticated and have accepted its licence to access it.`;
    exchange.error(token === undefined ? 401 : 403, 'GatedRepo', message);
    return undefined;
  }
  return repository;
}

function parseRoute(url: string, store: RepositoryStore): Route | undefined {
  const [pathname = ''] = url.split('?');
  let words: string[];
  try {
    words = pathname.split('/').slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
  if (words[0] === 'api' && words[1] === 'models') return parseApi(words.slice(2), store);
  if (words[0] === 'api' && words[1] === 'resolve-cache') {
    const [org, name, revision = '', ...path] = words.slice(3);
    const file = path.join('/');
    return { kind: 'bytes', action: 'cached', repository: `${org}/${name}`, revision, path: file, file };
  }
  if (words[2] !== 'resolve') return undefined;
  const { revision, path } = splitRevision(words.slice(3), `${words[0]}/${words[1]}`, store);
  return { kind: 'resolve', action: 'resolve', repository: `${words[0]}/${words[1]}`, revision, path, file: path };
}

function parseApi(words: readonly string[], store: RepositoryStore): Route | undefined {
  const [org, name, action, ...rest] = words;
  const repository = `${org}/${name}`;
  if (action === undefined) return { kind: 'info', action: 'info', repository, revision: 'main', path: '' };
  if (action === 'revision') return { kind: 'info', action: 'info', repository, revision: rest.join('/'), path: '' };
  if (action === 'paths-info') return { kind: action, action, repository, revision: rest.join('/'), path: '' };
  if (action !== 'tree') return undefined;
  return { kind: 'tree', action, repository, ...splitRevision(rest, repository, store) };
}

/** A revision may contain slashes (`refs/pr/1`): the longest known one wins, else the first path segment. */
function splitRevision(
  words: readonly string[],
  repository: string,
  store: RepositoryStore,
): { revision: string; path: string } {
  const revisions = store.get(repository)?.revisions;
  for (let length = words.length; length > 1; length -= 1) {
    const revision = words.slice(0, length).join('/');
    if (revisions?.has(revision)) return { revision, path: words.slice(length).join('/') };
  }
  // Clients encode `refs/pr/1` as one path segment.
  return { revision: words[0] ?? '', path: words.slice(1).join('/') };
}
