/**
 * Reads the model manifest: manifest/models.json of this package, and a user's own file in the same format. docs/volume.md
 * describes the format; manifest/models.schema.json is its schema.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { messageOf } from '@heimdex/common';
import { isDecodable, withoutCredentials } from './credentials.js';
import { CacheError } from './errors.js';
import { JsonCursor, JsonShapeError } from './json.js';
import { isRepositoryName } from './layout.js';
import {
  FAMILIES,
  type FileSet,
  type HubSource,
  type Layout,
  type Manifest,
  type ManifestEntry,
  type ModelFile,
  type NpmSource,
  type PinnedFile,
  PRECISIONS,
  ROLES,
  type Source,
  type UrlSource,
} from './manifest-types.js';

const MANIFEST_FORMAT_VERSION = 1;
/** What the families' code asks for. */
const WEIGHTS = ['encoder', 'decoder', 'vision', 'text', 'model'];

/** Path of the built-in manifest. */
export function builtInManifestPath(): string {
  return fileURLToPath(new URL('../../manifest/models.json', import.meta.url));
}

/**
 * Reads a manifest; the built-in one if no path is given. With `ownPath`, the entries of that file come before the built-in
 * ones, so that they override entries of the same name. Throws MANIFEST_INVALID.
 */
export function loadManifest(ownPath?: string): Manifest {
  const builtIn = readManifest(builtInManifestPath(), new Map());
  if (ownPath === undefined) return builtIn;
  const own = readManifest(ownPath, builtIn.fileSets);
  return { ...own, entries: [...own.entries, ...builtIn.entries] };
}

function readManifest(path: string, fileSets: Manifest['fileSets']): Manifest {
  try {
    return parseManifest(readFileSync(path, 'utf8'), path, fileSets);
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw new CacheError('MANIFEST_INVALID', `The model manifest ${path} cannot be read: ${messageOf(cause)}`, {
      path,
      variable: 'MODELS_MANIFEST',
      cause,
    });
  }
}

/**
 * Parses a manifest's text. `path` is for messages; `known` are additional file sets that its entries may use. Throws
 * MANIFEST_INVALID with the path of the invalid value.
 */
export function parseManifest(text: string, path: string, known: Manifest['fileSets'] = new Map()): Manifest {
  try {
    // A byte order mark, which some editors write first, counts as a space.
    const value: unknown = JSON.parse(text.trimStart());
    const root = new JsonCursor(value, 'manifest').only(['$schema', 'formatVersion', 'fileSets', 'models']);
    if (root.get('formatVersion').count() !== MANIFEST_FORMAT_VERSION) {
      return root.get('formatVersion').fail(`${MANIFEST_FORMAT_VERSION}`);
    }
    const fileSets = new Map(known);
    for (const [name, cursor] of root.get('fileSets').optional((sets) => sets.entries()) ?? []) {
      fileSets.set(name, parseFileSet(cursor.only(['files', 'variants', 'defaultVariant', 'compiled'])));
    }
    const entries = root
      .get('models')
      .items()
      .map((cursor) => parseEntry(cursor, fileSets));
    return { entries, fileSets };
  } catch (cause) {
    if (!(cause instanceof JsonShapeError || cause instanceof SyntaxError)) throw cause;
    throw new CacheError('MANIFEST_INVALID', `The model manifest ${path} is invalid: ${cause.message}`, {
      path,
      variable: 'MODELS_MANIFEST',
      cause,
    });
  }
}

function parseFileSet(cursor: JsonCursor): FileSet {
  const files = cursor.get('files').items().map(parseFile);
  const variants: Record<string, readonly ModelFile[]> = {};
  for (const [name, list] of cursor.get('variants').entries())
    variants[name] = [...files, ...list.items().map(parseFile)];
  const defaultVariant = parseVariantName(cursor.get('defaultVariant'), variants);
  const compiled = cursor.get('compiled').optional((flag) => flag.boolean()) ?? false;
  if (compiled && Object.keys(variants).some((name) => !PRECISIONS.some((known) => known === name)))
    return cursor.get('variants').fail(`named by precisions (${PRECISIONS.join(', ')})`);
  return { variants, defaultVariant, compiled };
}

function parseVariantName(cursor: JsonCursor, variants: FileSet['variants']): string {
  const name = cursor.text();
  if (Object.hasOwn(variants, name)) return name;
  return cursor.fail(`the name of a variant (${Object.keys(variants).join(', ')})`);
}

const ENTRY_KEYS = [
  'name',
  'role',
  'family',
  'aliases',
  'layout',
  'id',
  'folder',
  'sources',
  'fileSet',
  'files',
  'variants',
  'defaultVariant',
  'known',
  'compiled',
  'languages',
  'sizeBytes',
  'memoryBytes',
  'licence',
  'note',
];

function parseEntry(cursor: JsonCursor, fileSets: ReadonlyMap<string, FileSet>): ManifestEntry {
  cursor.only(ENTRY_KEYS);
  const textIn = (key: string) => cursor.get(key).optional((value) => value.text());
  const countIn = (key: string) => cursor.get(key).optional((value) => value.count());
  const name = cursor.get('name').text();
  const dir = cursor.get('folder').optional((value) => value.path()) ?? '';
  const layout: Layout = cursor.get('layout').optional((word) => word.word(['snapshot', 'plain'])) ?? 'snapshot';
  const set = parseEntryFiles(cursor, fileSets);
  const known = parseKnown(cursor.get('known'), new Set(Object.values(set.variants).flatMap(pathsOf)));
  const variants: Record<string, readonly ModelFile[]> = {};
  for (const [variant, files] of Object.entries(set.variants)) {
    variants[variant] = files.map((file) => ({
      ...file,
      ...known.get(file.path),
      path: joinPath(dir, file.path),
      ...(file.insteadOf === undefined ? {} : { insteadOf: joinPath(dir, file.insteadOf) }),
    }));
  }
  const id = textIn('id') ?? name;
  if (!isRepositoryName(id)) return cursor.get('id').fail('a repository such as org/name');
  const sources = cursor.get('sources').items().map(parseSource);
  if (sources.length === 0) return cursor.get('sources').fail('a list of one source or more');
  return {
    name,
    role: cursor.get('role').word(ROLES),
    family: cursor.get('family').word(FAMILIES),
    aliases: cursor.get('aliases').optional((list) => list.items().map((item) => item.text())) ?? [],
    layout,
    id,
    dir,
    sources,
    defaultVariant:
      cursor.get('defaultVariant').optional((word) => parseVariantName(word, variants)) ?? set.defaultVariant,
    variants,
    compiled: set.compiled,
    languages: textIn('languages'),
    sizeBytes: countIn('sizeBytes'),
    memoryBytes: countIn('memoryBytes'),
    licence: textIn('licence'),
    note: textIn('note'),
  };
}

function parseEntryFiles(cursor: JsonCursor, fileSets: ReadonlyMap<string, FileSet>): FileSet {
  const name = cursor.get('fileSet').optional((text) => text.text());
  if (name === undefined) return parseFileSet(cursor);
  if (cursor.get('files').present || cursor.get('variants').present) {
    return cursor.get('fileSet').fail('omitted if files and variants are given');
  }
  if (cursor.get('compiled').present)
    return cursor.get('compiled').fail('omitted with a fileSet, which says it itself');
  return fileSets.get(name) ?? cursor.get('fileSet').fail(`one of ${[...fileSets.keys()].join(', ')}`);
}

type Known = Partial<Pick<ModelFile, 'sizeBytes' | 'sha256'>>;

function pathsOf(files: readonly ModelFile[]): readonly string[] {
  return files.map(({ path }) => path);
}

/** A path that no variant has would pin nothing. */
function parseKnown(cursor: JsonCursor, paths: ReadonlySet<string>): Map<string, Known> {
  const known = new Map<string, Known>();
  for (const [path, facts] of cursor.optional((map) => map.entries()) ?? []) {
    facts.only(['sizeBytes', 'sha256']);
    if (!paths.has(path)) return facts.fail(`for one of the model's files (${[...paths].join(', ')})`);
    known.set(path, {
      sizeBytes: facts.get('sizeBytes').optional((size) => size.count()),
      sha256: facts.get('sha256').optional((hash) => hash.sha256()),
    });
  }
  return known;
}

function parseFile(cursor: JsonCursor): ModelFile {
  cursor.only(['path', 'required', 'insteadOf', 'weights', 'sizeBytes', 'sha256']);
  const insteadOf = cursor.get('insteadOf').optional((value) => value.path());
  return {
    path: cursor.get('path').path(),
    required: cursor.get('required').optional((flag) => flag.boolean()) ?? true,
    ...(insteadOf === undefined ? {} : { insteadOf }),
    weights: cursor.get('weights').optional((word) => word.word(WEIGHTS)),
    sizeBytes: cursor.get('sizeBytes').optional((size) => size.count()),
    sha256: cursor.get('sha256').optional((hash) => hash.sha256()),
  };
}

function parseSource(cursor: JsonCursor): Source {
  const type = cursor.get('type').word(['hf', 'url', 'npm']);
  switch (type) {
    case 'hf':
      return parseHubSource(cursor);
    case 'url':
      return parseUrlSource(cursor);
    case 'npm':
      return parseNpmSource(cursor);
  }
}

function parseHubSource(cursor: JsonCursor): HubSource {
  cursor.only(['type', 'repository', 'revision']);
  const revision = cursor.get('revision').optional((value) => value.path()) ?? 'main';
  return { type: 'hf', repository: cursor.get('repository').repository(), revision };
}

function parseUrlSource(cursor: JsonCursor): UrlSource {
  const files = cursor.only(['type', 'files']).get('files').items();
  return {
    type: 'url',
    files: files.map((file) => ({ ...parsePinned(file, 'url'), url: parseAddress(file.get('url')) })),
  };
}

function parseAddress(cursor: JsonCursor): string {
  const expected = 'an http:// or https:// address';
  const text = cursor.text(/^https?:\/\//, expected);
  if (!URL.canParse(text)) return cursor.fail(expected, withoutCredentials(text));
  if (isDecodable(new URL(text))) return text;
  return cursor.fail(`${expected} with % of a user or a password written as %25`, withoutCredentials(text));
}

function parseNpmSource(cursor: JsonCursor): NpmSource {
  const files = cursor.only(['type', 'package', 'version', 'files']).get('files').items();
  return {
    type: 'npm',
    package: cursor.get('package').text(/^(@[a-z0-9-_.~]+\/)?[a-z0-9-_.~]+$/, "an npm package's name"),
    version: cursor.get('version').text(/^\d+\.\d+\.\d+[\w.+-]*$/, 'an exact version'),
    files: files.map((file) => ({ ...parsePinned(file, 'file'), file: file.get('file').path() })),
  };
}

/** @param where - The key that says where the file comes from. */
function parsePinned(file: JsonCursor, where: 'url' | 'file'): PinnedFile {
  return {
    path: file.only(['path', where, 'sha256', 'sizeBytes']).get('path').path(),
    sha256: file.get('sha256').sha256(),
    sizeBytes: file.get('sizeBytes').optional((size) => size.count()),
  };
}

function joinPath(dir: string, path: string): string {
  return dir === '' ? path : `${dir}/${path}`;
}
