import {
  type CacheContents,
  type CompilableCheckpoint,
  type CompiledDir,
  type CompiledManifest,
  compilableOf,
  compiledKeyName,
  minCosine,
  scanCache,
  scanCompiled,
  scanOptimized,
  whisperFiles,
  whyUnusable,
} from '@heimdex/cache';
import { formatBytes, formatCount, sumSizes, table, visible } from '@heimdex/common';
import { readCacheState } from '../cache-state.js';
import type { CommandContext } from './context.js';

/** Everything that `list` shows. */
interface Listing {
  readonly contents: CacheContents;
  /** The roles that each name is configured for. */
  readonly roles: ReadonlyMap<string, readonly string[]>;
  /** The compilable checkpoint of each repository. */
  readonly compilable: ReadonlyMap<string, CompilableCheckpoint>;
  /** OpenAI's original files. */
  readonly whisper: readonly CompilableCheckpoint[];
  /** Paths of checkpoints outside of any repository that the manifest names: only those can be compiled. */
  readonly named: ReadonlySet<string>;
  readonly compiled: readonly CompiledDir[];
  /** The compiled forms that the configured models use. */
  readonly used: readonly CompiledManifest[];
  readonly preparedBytes: number;
  readonly optimizedModels: readonly OptimizedModelRow[];
}

/** An optimized model, and whether the lock file names it: the server ignores all others. */
interface OptimizedModelRow {
  readonly source: string;
  readonly form: string;
  readonly bytes: number;
  readonly recorded: boolean;
}

/** Shows the contents of the cache: what is configured, what is compiled and what can be compiled. */
export async function list(context: CommandContext): Promise<undefined> {
  const { config, args, print, signal } = context;
  const { cacheDir } = config.models;
  const contents = await scanCache(cacheDir);
  const cacheState = await readCacheState(config.models, { signal });
  const roles = new Map<string, string[]>();
  for (const { configured, inspection } of cacheState.models) {
    const key = configured.layout === 'plain' ? (configured.files[0]?.path ?? '') : inspection.repository;
    const checkpoints = configured.compile?.checkpoints.map(({ path }) => path) ?? [];
    for (const name of [key, ...checkpoints]) roles.set(name, [...(roles.get(name) ?? []), configured.role]);
  }
  const compilable = new Map<string, CompilableCheckpoint>();
  for (const repository of contents.repositories.filter(({ kind }) => kind === 'models')) {
    const checkpoint = await compilableOf(repository);
    if (checkpoint !== undefined) compilable.set(repository.repository, checkpoint);
  }
  const whisper = await whisperFiles(cacheDir);
  const { entries } = config.models.manifest();
  const addressed = entries.flatMap(({ sources }) => sources.flatMap((one) => (one.type === 'url' ? one.files : [])));
  const named = new Set(addressed.map(({ path }) => path));
  const compiled = await scanCompiled(cacheDir);
  const used = cacheState.models.flatMap(({ inspection }) => inspection.found?.compiled ?? []);
  const sources = await scanOptimized(cacheDir);
  const preparedBytes = sumSizes(sources);
  const records = cacheState.lock?.prepared ?? [];
  const optimizedModels = sources.flatMap(({ source, forms }) =>
    forms.map(({ form, sizeBytes: bytes }) => {
      const recorded = records.some((record) => record.source === source && record.form === form);
      return { source, form, bytes, recorded };
    }),
  );
  const listing = { contents, roles, compilable, whisper, named, compiled, used, preparedBytes, optimizedModels };
  print(args.json ? document(listing) : words(listing));
}

function document({ contents, roles, compilable, whisper, compiled, preparedBytes, optimizedModels }: Listing) {
  return {
    cacheDir: contents.cacheDir,
    bytes: contents.sizeBytes,
    models: contents.repositories.map((repository) => ({
      repository: repository.repository,
      kind: repository.kind,
      bytes: repository.sizeBytes,
      lastUsed: timeOf(repository.lastUsedMs) ?? null,
      roles: roles.get(repository.repository) ?? [],
      refs: Object.fromEntries(repository.refs.map((ref) => [ref.name, ref.commit])),
      snapshots: repository.snapshots.map(({ commit, files }) => ({ commit, files: files.length })),
      unfinishedBytes: sumSizes(repository.partials),
      compilable: checkpointField(compilable.get(repository.repository)),
    })),
    plainFiles: contents.plainFiles.map((file) => ({
      name: file.name,
      bytes: file.sizeBytes,
      lastUsed: timeOf(file.lastUsedMs) ?? null,
      roles: roles.get(file.name) ?? [],
    })),
    whisperFiles: whisper.map((file) => ({ ...checkpointField(file), roles: roles.get(file.path) ?? [] })),
    compiled: compiled.map(({ repository, path, sizeBytes, manifest }) => ({
      repository,
      path,
      bytes: sizeBytes,
      whole: manifest !== undefined,
      precision: manifest?.precision ?? null,
      from: manifest?.sources.map((source) => source.path) ?? [],
      minCosine: manifest === undefined ? null : minCosine(manifest.graphs),
    })),
    preparedBytes,
    optimizedModels,
  };
}

function checkpointField(checkpoint: CompilableCheckpoint | undefined) {
  if (checkpoint === undefined) return null;
  return { path: checkpoint.path, bytes: checkpoint.sizeBytes, modelType: checkpoint.modelType };
}

function words(listing: Listing): string {
  const { contents, roles, compilable, whisper, named, compiled, used } = listing;
  const row = (name: string, sizeBytes: number, usedMs?: number, unfinished = 0) => {
    const lastUsed = timeOf(usedMs)?.slice(0, 10) ?? '-';
    return [name, formatBytes(sizeBytes), lastUsed, configuredFor(roles.get(name), unfinished)];
  };
  const rows = [
    ...contents.repositories.map(({ repository, sizeBytes, lastUsedMs, partials }) =>
      row(repository, sizeBytes, lastUsedMs, sumSizes(partials)),
    ),
    ...contents.plainFiles.map(({ name, sizeBytes, lastUsedMs }) => row(name, sizeBytes, lastUsedMs)),
    ...whisper.map(({ path, sizeBytes }) => row(path, sizeBytes)),
  ];
  /** Whether a checkpoint, of any repository or of this one, has a compiled form that this machine uses. */
  const isCompiled = (checkpoint: string, repository?: string) =>
    compiled.some(
      ({ repository: of, manifest }) =>
        manifest?.sources.some(({ path }) => path === checkpoint) === true &&
        of === (repository ?? of) &&
        whyUnusable(manifest) === undefined,
    );
  const more = [
    ...compiled.map((dir) => describeCompiled(dir, used)),
    ...[...compilable]
      .filter(([name, { path }]) => !isCompiled(path, name))
      .map(([name, checkpoint]) => canBe(name, checkpoint)),
    ...whisper.filter(({ path }) => named.has(path) && !isCompiled(path)).map((file) => canBe(file.path, file)),
    ...(listing.preparedBytes === 0 ? [] : [describeOptimized(listing)]),
  ];
  const total = `${formatBytes(contents.sizeBytes)} in ${contents.cacheDir}`;
  if (rows.length + more.length === 0) return `Nothing in ${contents.cacheDir}.\n`;
  // Escaped before the columns are measured, and a name with a newline is no second line.
  const lines = table([['MODEL', 'SIZE', 'LAST USE', 'CONFIGURED FOR'], ...rows.map((row) => row.map(visible))]);
  return `${[...lines, total, ...more.map(visible)].join('\n')}\n`;
}

function describeCompiled({ repository, sizeBytes, manifest }: CompiledDir, used: Listing['used']): string {
  if (manifest === undefined) return `compiled  ${repository}: ${formatBytes(sizeBytes)}, incomplete`;
  const ofThis = used.filter((other) => other.repository === repository).map(compiledKeyName);
  const isOther = ofThis.length > 0 && !ofThis.includes(compiledKeyName(manifest));
  const why = whyUnusable(manifest) ?? (isOther ? 'another form of it is configured' : undefined);
  const use = why === undefined ? '' : `; not used, ${why}`;
  const of = `${repository} (${manifest.precision}) at ${manifest.commit.slice(0, 8)}`;
  return `compiled  ${of}: ${formatBytes(sizeBytes)}, from ${manifest.sources[0]?.path}${use}`;
}

function describeOptimized({ preparedBytes, optimizedModels }: Listing): string {
  const unrecorded = optimizedModels.filter(({ recorded }) => !recorded).length;
  const remark = unrecorded === 0 ? '' : `, ${unrecorded} of them not in the lock file and so not used`;
  return `optimized  ${formatCount(optimizedModels.length, 'model')}: ${formatBytes(preparedBytes)}${remark}`;
}

function canBe(name: string, { path, sizeBytes, modelType }: CompilableCheckpoint): string {
  const of = name === path ? '' : ` (${path})`;
  return `can be compiled  ${name}${of}: ${formatBytes(sizeBytes)}, ${modelType}`;
}

function configuredFor(roles: readonly string[] | undefined, unfinished: number): string {
  const left = unfinished === 0 ? '' : ` (${formatBytes(unfinished)} unfinished)`;
  return `${roles?.join(', ') ?? '-'}${left}`;
}

/** Some file systems hold times that a Date does not, as after a clock that was far off. */
function timeOf(atMs: number | undefined): string | undefined {
  const date = new Date(atMs ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
