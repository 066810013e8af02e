/**
 * Compiled models: graphs that the downloader compiled from a checkpoint (safetensors, pytorch_model.bin, OpenAI's .pt), in
 * `.compiled/models--org--name/<key>/` with a compiled.json. The key identifies the checkpoint's bytes, the small files that
 * the compiler reads, the compiler and its options.
 */
import { createHash } from 'node:crypto';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNotFound, parseForeignJson } from '@heimdex/common';
import type { CompiledGraphRecord, CompiledInput, CompiledKey, CompiledManifest } from './compiled-types.js';
import { hasExactByteProducts } from './cpu.js';
import type { FoundFile } from './found-model.js';
import { namesIn } from './if-there.js';
import { JsonCursor, JsonShapeError } from './json.js';
import { repoDirName } from './layout.js';
import type { LockedModel } from './lock-file.js';
import { readText } from './read-text.js';
import { DENSE_DIR } from './sentence-modules.js';

/**
 * Version of the compiled graphs. Incremented when those of the version before are not to be served any more: all are compiled again, which
 * takes minutes on every volume. A form that is added does not need it, because a model keeps the form that passed its threshold.
 */
const COMPILER_VERSION = 6;
/** Higher versions of some architectures, by `model_type`, so that the others are not compiled again. */
const ARCHITECTURE_VERSIONS: ReadonlyMap<string, number> = new Map([
  ['camembert', 7],
  ['mpnet', 7],
  ['roberta', 7],
]);
/** The same for models with a layer behind the pooling. */
const DENSE_VERSION = 7;

/** The version that a model's compiled graphs are to have. */
export function compilerVersion({ modelType, sources }: Pick<CompiledManifest, 'modelType' | 'sources'>): number {
  const isDense = sources.some(({ path }) => path.split('/').includes(DENSE_DIR));
  return Math.max(COMPILER_VERSION, ARCHITECTURE_VERSIONS.get(modelType) ?? 0, isDense ? DENSE_VERSION : 0);
}

/** Returns why this version on this machine never uses a compiled model, whatever is configured; undefined if it may. */
export function whyUnusable(
  manifest: Pick<CompiledManifest, 'compiler' | 'modelType' | 'sources' | 'precision' | 'overflowSafe'>,
  isExact = hasExactByteProducts,
): string | undefined {
  if (manifest.compiler !== compilerVersion(manifest)) return 'it is compiled by another version of the compiler';
  const suits = manifest.precision !== 'int8' || manifest.overflowSafe || isExact();
  return suits ? undefined : 'it is compiled for CPUs with VNNI, and this one has none';
}

/** Name of the file that describes a compiled model. It is written last. */
export const COMPILED_MANIFEST_NAME = 'compiled.json';
const FORMAT_VERSION = 1;
/** Prefix of compiled files among a model's files, in messages and in the lock file. */
const PATH_PREFIX = 'compiled/';

/** A compiled model on the volume. */
export interface CompiledModelDir {
  readonly path: string;
  readonly manifest: CompiledManifest;
}

/** Returns the directory of all compiled models. */
export function compiledRoot(cacheDir: string): string {
  return join(cacheDir, '.compiled');
}

/** Returns the directory of a repository's compiled models. */
export function compiledRepositoryPath(cacheDir: string, repository: string): string {
  return join(compiledRoot(cacheDir), repoDirName(repository));
}

/** Returns the name of a compiled model's directory: 32 hexadecimal digits. */
export function compiledKeyName({ compiler, precision, overflowSafe, sources, inputs = [] }: CompiledKey): string {
  const lines = [
    compiler,
    precision,
    overflowSafe,
    ...sources.map(({ path, sha256 }) => `${path}\0${sha256}`).sort(),
    ...inputs.map(({ path, sha256 }) => `input\0${path}\0${sha256}`).sort(),
  ];
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 32);
}

/** Returns every readable compiled model of a repository; empty if there is none. */
export async function readCompiledModels(cacheDir: string, repository: string): Promise<readonly CompiledModelDir[]> {
  const root = compiledRepositoryPath(cacheDir, repository);
  const models: CompiledModelDir[] = [];
  for (const key of (await namesIn(root)).filter((name) => /^[0-9a-f]{32}$/.test(name))) {
    const path = join(root, key);
    const manifest = await readCompiledManifest(path);
    if (manifest !== undefined && compiledKeyName(manifest) === key) models.push({ path, manifest });
  }
  return models;
}

/** Returns the text of compiled.json. */
export function formatCompiledManifest(manifest: CompiledManifest): string {
  return `${JSON.stringify({ formatVersion: FORMAT_VERSION, ...manifest }, null, 2)}\n`;
}

/** Returns the minimum cosine of all graphs to float32; 1 for those in float32. */
export function minCosine(graphs: readonly Pick<CompiledGraphRecord, 'cosine'>[]): number {
  return Math.min(...graphs.map(({ cosine }) => cosine ?? 1));
}

/** Returns the files of a compiled model in the form of any model's files, checked against the lock file if it is locked. */
export async function compiledFiles(
  { path, manifest }: CompiledModelDir,
  locked: LockedModel | undefined,
): Promise<readonly FoundFile[]> {
  const files = manifest.graphs.flatMap((graph) =>
    graph.files.map((file, index) => ({ ...file, weights: index === 0 ? graph.role : undefined })),
  );
  return Promise.all(
    files.map(async ({ name, sizeBytes, sha256, weights }) => {
      const absolutePath = join(path, name);
      const lockedFile = locked?.files.find((file) => file.path === compiledPath(name));
      return {
        path: compiledPath(name),
        weights,
        absolutePath,
        blobPath: absolutePath,
        sizeBytes: await ownSize(absolutePath),
        expectedSizeBytes: lockedFile?.sizeBytes ?? sizeBytes,
        hash: { type: 'sha256' as const, value: lockedFile?.sha256 ?? sha256 },
        blobId: undefined,
      };
    }),
  );
}

/** Returns the path of a compiled file among a model's files. */
export function compiledPath(name: string): string {
  return `${PATH_PREFIX}${name}`;
}

/** Returns the name of a compiled file in its directory. */
export function compiledFileName(path: string): string {
  return path.slice(PATH_PREFIX.length);
}

/** A link could point at a file that only this program's user may read; the compiler creates none. Throws ENOENT for a link. */
async function ownSize(path: string): Promise<number> {
  const info = await lstat(path);
  if (info.isFile()) return info.size;
  throw Object.assign(new Error(`${path} is not a regular file`), { code: 'ENOENT', path });
}

/** Returns whether a path among a model's files is a compiled one. */
export function isCompiledPath(path: string): boolean {
  return path.startsWith(PATH_PREFIX);
}

/** Reads compiled.json of a directory; undefined if it is missing or malformed. Rejects with the system's error. */
export async function readCompiledManifest(dir: string): Promise<CompiledManifest | undefined> {
  try {
    return parseCompiledManifest(await readText(join(dir, COMPILED_MANIFEST_NAME)));
  } catch (error) {
    if (isNotFound(error) || error instanceof SyntaxError || error instanceof JsonShapeError) return undefined;
    throw error;
  }
}

/** Throws SyntaxError or JsonShapeError. */
export function parseCompiledManifest(text: string): CompiledManifest {
  const root = new JsonCursor(parseForeignJson(text), 'compiled');
  if (root.get('formatVersion').count() !== FORMAT_VERSION) root.get('formatVersion').fail(`${FORMAT_VERSION}`);
  const inputs = root.get('inputs').optional((list) => list.items().map(parseInput));
  return {
    compiler: root.get('compiler').count(),
    precision: root.get('precision').text(),
    overflowSafe: root.get('overflowSafe').boolean(),
    sources: root
      .get('sources')
      .items()
      .map((source) => ({
        path: source.get('path').path(),
        sizeBytes: source.get('sizeBytes').count(),
        sha256: source.get('sha256').sha256(),
      })),
    ...(inputs === undefined ? {} : { inputs }),
    repository: root.get('repository').text(),
    commit: root.get('commit').text(),
    modelType: root.get('modelType').text(),
    graphs: root.get('graphs').items().map(parseGraph),
  };
}

function parseInput(cursor: JsonCursor): CompiledInput {
  return { path: cursor.get('path').path(), sha256: cursor.get('sha256').sha256() };
}

function parseGraph(cursor: JsonCursor): CompiledGraphRecord {
  return {
    role: cursor.get('role').text(),
    cosine: cursor.get('cosine').optional((value) => value.number()),
    recipe: Object.fromEntries(
      cursor
        .get('recipe')
        .entries()
        .map(([kind, form]) => [kind, form.text()]),
    ),
    files: cursor
      .get('files')
      .items()
      .map((file) => ({
        name: file.get('name').text(/^[\w][\w.-]*$/, 'the name of a file in its directory'),
        sizeBytes: file.get('sizeBytes').count(),
        sha256: file.get('sha256').sha256(),
      })),
  };
}
