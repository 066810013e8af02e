/**
 * `models.lock.json`: the commit of every model and each file's size and sha256, so that every machine serves the same bytes
 * until `update` runs. docs/volume.md documents the format.
 */
import { byPath, isNotFound, messageOf, parseForeignJson } from '@heimdex/common';
import { CacheError } from './errors.js';
import { JsonCursor, JsonShapeError } from './json.js';
import { COMMIT } from './layout.js';
import { type ConfiguredModel, type Layout, ROLES, type Role, type Source } from './manifest-types.js';
import { permissionAdvice } from './model-problems.js';
import { type OptimizedRecord, parseOptimizedRecord, sortedOptimized } from './optimized-record.js';
import { readText } from './read-text.js';
import { replaceFile } from './replace-file.js';

const LOCK_FORMAT_VERSION = 1;

/** The lock file's content. */
export interface ModelsLock {
  /** Sorted by role, entry and variant; one per model. */
  readonly models: readonly LockedModel[];
  /** Forms created by `heimdex-inference prepare`; sorted by source and form. Absent: none. */
  readonly prepared?: readonly OptimizedRecord[];
}

/** One model as it was when it was locked. */
export interface LockedModel {
  readonly role: Role;
  /** Its manifest entry. */
  readonly entry: string;
  readonly variant: string;
  readonly layout: Layout;
  /** The repository whose cache directory holds it (for a plain file: that it came from). */
  readonly repository: string;
  /** Type of its source: `hf`, `url`, `npm`. */
  readonly source: 'hf' | 'url' | 'npm';
  /** Configured revision: a branch, a tag or a commit. */
  readonly requestedRevision: string;
  /** The 40-digit commit; for a plain file the sha256 of the file. */
  readonly revision: string;
  /** True: its weights were on the volume before this program ran. `prune` keeps such a model. */
  readonly found?: boolean | undefined;
  /** Sorted by path. */
  readonly files: readonly LockedFile[];
}

export interface LockedFile {
  /** Path in the repository, or a plain file's name. */
  readonly path: string;
  readonly sizeBytes: number;
  /** sha256 of the bytes, for large and regular files alike. */
  readonly sha256: string;
  /** The blob's name: the sha256 of a large file, git's sha1 of a regular one. Undefined for a plain file. */
  readonly blobId: string | undefined;
}

/**
 * Returns the locked model of a configured one: same role, manifest entry and variant; undefined if it is not locked, or if the
 * entry now names another revision, repository or other pinned bytes: the lock file holds branches, not the configuration.
 */
export function lockedModel(lock: ModelsLock | undefined, configured: ConfiguredModel): LockedModel | undefined {
  const record = lockRecord(lock, configured);
  return record !== undefined && isAsConfigured(record, configured) ? record : undefined;
}

/** Returns the record of a configured model, also if its manifest entry has changed since it was locked. */
export function lockRecord(lock: ModelsLock | undefined, configured: ConfiguredModel): LockedModel | undefined {
  return lock?.models.find((model) => isSameEntry(model, configured) && model.variant === configured.variant);
}

type NamedModel = Pick<LockedModel, 'role' | 'entry'>;

/** Returns whether two are the same model, in whatever variant. */
export function isSameEntry(one: NamedModel, other: NamedModel): boolean {
  return one.role === other.role && one.entry === other.entry;
}

function isAsConfigured(record: LockedModel, { layout, sources }: ConfiguredModel): boolean {
  return record.layout === layout && sources.some((source) => isOfSource(record, source));
}

function isOfSource({ source: type, repository, requestedRevision, revision, files }: LockedModel, source: Source) {
  if (source.type !== type) return false;
  if (source.type === 'hf')
    return source.repository === repository && [requestedRevision, revision].includes(source.revision);
  return files.every(({ path, sha256 }) =>
    source.files.every((pinned) => pinned.path !== path || pinned.sha256 === sha256),
  );
}

/** Returns a lock with some models added or replaced. */
export function withLockedModels(lock: ModelsLock | undefined, models: readonly LockedModel[]): ModelsLock {
  const byKey = new Map<string, LockedModel>();
  for (const model of [...(lock?.models ?? []), ...models]) byKey.set(lockKey(model), model);
  return {
    ...lock,
    models: [...byKey.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, model]) => model),
  };
}

function lockKey(model: LockedModel): string {
  return `${ROLES.indexOf(model.role)} ${model.entry}:${model.variant}`;
}

/** Reads the lock file; undefined if there is none. Throws LOCK_INVALID, FILE_UNREADABLE. */
export async function readLock(path: string): Promise<ModelsLock | undefined> {
  let text: string;
  try {
    text = await readText(path);
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw new CacheError(
      'FILE_UNREADABLE',
      `The lock file ${path} cannot be read: ${messageOf(cause)}${permissionAdvice(cause)}`,
      { path, variable: 'MODELS_LOCK', cause },
    );
  }
  return parseLock(text, path);
}

/** Writes the lock file atomically, readable by everybody. Creates its directory. */
export async function writeLock(path: string, lock: ModelsLock): Promise<void> {
  await replaceFile(path, formatLock(lock));
}

/** Maximum attempts to change a lock file that another process changes at the same time. */
const MAX_ATTEMPTS = 5;

/**
 * Changes the lock file as it is at the moment of writing, and again if another process wrote it meanwhile. `change` must return
 * the same for its own result. Writes nothing if nothing changes. Throws LOCK_INVALID and the system's errors.
 */
export async function changeLock(
  path: string,
  change: (lock: ModelsLock) => ModelsLock | Promise<ModelsLock>,
): Promise<void> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const lock = (await readLock(path)) ?? { models: [] };
    const next = await change(lock);
    if (formatLock(next) === formatLock(lock)) return;
    await writeLock(path, next);
  }
}

/** Returns the lock file's text; deterministic. */
export function formatLock(lock: ModelsLock): string {
  // JSON leaves out what is undefined.
  const models = withLockedModels(undefined, lock.models).models.map((model) => ({
    role: model.role,
    entry: model.entry,
    variant: model.variant,
    layout: model.layout,
    source: model.source,
    repository: model.repository,
    requestedRevision: model.requestedRevision,
    revision: model.revision,
    found: model.found || undefined,
    files: byPath(model.files).map(({ path, sizeBytes, sha256, blobId }) => ({ path, sizeBytes, sha256, blobId })),
  }));
  const prepared = sortedOptimized(lock.prepared ?? []);
  const content = { formatVersion: LOCK_FORMAT_VERSION, models, ...(prepared.length === 0 ? {} : { prepared }) };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Parses a lock file's text. `path` is for messages. Throws LOCK_INVALID with the path of the invalid value. */
export function parseLock(text: string, path: string): ModelsLock {
  try {
    const root = new JsonCursor(parseForeignJson(text), 'lock');
    if (root.get('formatVersion').count() !== LOCK_FORMAT_VERSION)
      root.get('formatVersion').fail(`${LOCK_FORMAT_VERSION}`);
    const prepared = root.get('prepared').optional((list) => list.items().map(parseOptimizedRecord)) ?? [];
    const { models } = withLockedModels(undefined, root.get('models').items().map(parseLockedModel));
    return { models, ...(prepared.length === 0 ? {} : { prepared: sortedOptimized(prepared) }) };
  } catch (cause) {
    if (!(cause instanceof JsonShapeError || cause instanceof SyntaxError)) throw cause;
    throw new CacheError(
      'LOCK_INVALID',
      `The lock file ${path} is invalid: ${cause.message}. Delete it and run heimdex-downloader download to create a new one`,
      { path, variable: 'MODELS_LOCK', command: 'heimdex-downloader download', cause },
    );
  }
}

function parseLockedModel(cursor: JsonCursor): LockedModel {
  const layout = cursor.get('layout').word(['snapshot', 'plain']);
  const revision = cursor.get('revision');
  return {
    role: cursor.get('role').word(ROLES),
    entry: cursor.get('entry').text(),
    variant: cursor.get('variant').text(),
    layout,
    source: cursor.get('source').word(['hf', 'url', 'npm']),
    repository: cursor.get('repository').repository(),
    requestedRevision: cursor.get('requestedRevision').text(),
    revision: layout === 'plain' ? revision.sha256() : revision.text(COMMIT, 'a commit of 40 digits'),
    ...(cursor.get('found').optional((value) => value.boolean()) === true ? { found: true } : {}),
    files: cursor.get('files').items().map(parseLockedFile),
  };
}

function parseLockedFile(cursor: JsonCursor): LockedFile {
  return {
    path: cursor.get('path').path(),
    sizeBytes: cursor.get('sizeBytes').count(),
    sha256: cursor.get('sha256').sha256(),
    blobId: cursor.get('blobId').optional((id) => id.text(/^([0-9a-f]{40}|[0-9a-f]{64})$/, '40 or 64 digits')),
  };
}
