/** The part of the hub's JSON API that downloads use. */
import type { Exchange } from './exchange.js';
import type { Commit, CommittedFile } from './repository.js';
import type { StoredRepository } from './store.js';

/** `GET /api/models/<org>/<name>` and `/revision/<revision>`: the commit and the names of its files. */
export function sendInfo(exchange: Exchange, repository: StoredRepository, commit: Commit): void {
  exchange.json(200, {
    _id: commit.sha.slice(0, 24),
    id: repository.name,
    modelId: repository.name,
    author: repository.name.split('/')[0],
    sha: commit.sha,
    lastModified: '2026-01-01T00:00:00.000Z',
    createdAt: '2026-01-01T00:00:00.000Z',
    private: repository.private,
    gated: repository.gated ? 'auto' : false,
    disabled: false,
    downloads: 0,
    likes: 0,
    tags: [],
    siblings: [...commit.files.keys()].map((path) => ({ rfilename: path })),
  });
}

const DEFAULT_PAGE_SIZE = 1000;

/**
 * `GET /api/models/<org>/<name>/tree/<revision>[/<directory>]`: files and directories, including subdirectories with
 * `recursive=true`. Paginated, with the URL of the next page in the Link header.
 */
export function sendTree(exchange: Exchange, commit: Commit, dir: string, pageSize: number | undefined): void {
  const url = new URL(exchange.request.url ?? '', hostOf(exchange));
  const recursive = ['true', '1'].includes((url.searchParams.get('recursive') ?? '').toLowerCase());
  const all = entriesOf(commit, dir, recursive);
  if (all.length === 0 && dir !== '') {
    exchange.error(404, 'EntryNotFound', `${dir} does not exist on "${commit.sha}"`);
    return;
  }
  const limit = Number(url.searchParams.get('limit') ?? pageSize ?? DEFAULT_PAGE_SIZE);
  const start = Number(url.searchParams.get('cursor') ?? 0);
  const lie = exchange.lie();
  const page = all
    .slice(start, start + limit)
    .map((entry) => (typeof entry === 'string' ? dirJson(entry) : fileJson(entry, lie)));
  const headers: Record<string, string> = {};
  if (start + limit < all.length) {
    url.searchParams.set('cursor', String(start + limit));
    headers.link = `<${url.href}>; rel="next"`;
  }
  exchange.json(200, page, headers);
}

/** `POST /api/models/<org>/<name>/paths-info/<revision>` with `paths`: the existing ones of these files. */
export function sendPathsInfo(exchange: Exchange, commit: Commit, body: string): void {
  const paths = pathsOf(body, exchange.request.headers['content-type'] ?? '');
  exchange.json(
    200,
    paths.flatMap((path) => {
      const file = commit.files.get(path);
      return file === undefined ? [] : [fileJson(file, 0)];
    }),
  );
}

function pathsOf(body: string, contentType: string): string[] {
  if (!contentType.includes('json')) return new URLSearchParams(body).getAll('paths');
  const parsed: unknown = JSON.parse(body);
  const paths = typeof parsed === 'object' && parsed !== null && 'paths' in parsed ? parsed.paths : [];
  return [paths].flat().filter((path) => typeof path === 'string');
}

/** Returns files, and directories as their paths, sorted by name. */
function entriesOf(commit: Commit, dir: string, recursive: boolean): (CommittedFile | string)[] {
  const prefix = dir === '' ? '' : `${dir}/`;
  const entries = new Map<string, CommittedFile | string>();
  for (const file of commit.files.values()) {
    if (!file.path.startsWith(prefix)) continue;
    const parts = file.path.slice(prefix.length).split('/');
    for (let depth = 1; depth < parts.length; depth += 1) {
      const path = prefix + parts.slice(0, depth).join('/');
      if (recursive || depth === 1) entries.set(path, path);
    }
    if (recursive || parts.length === 1) entries.set(file.path, file);
  }
  return [...entries.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

function dirJson(path: string): unknown {
  return { type: 'directory', oid: '0'.repeat(40), size: 0, path };
}

function fileJson(file: CommittedFile, lie: number): unknown {
  const size = file.sizeBytes + lie;
  const lfs = file.lfsOid === undefined ? {} : { lfs: { oid: file.lfsOid, size, pointerSize: file.pointerSizeBytes } };
  return { type: 'file', oid: file.oid, size, path: file.path, ...lfs };
}

function hostOf(exchange: Exchange): string {
  return `http://${exchange.request.headers.host ?? 'localhost'}`;
}
