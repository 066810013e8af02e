import { type CacheContents, type CachedRepository, scanCache, scanPrepared } from '@heimdex/cache';
import { takeInventory } from '../inventory.js';
import { sayCount, saySize } from '../words.js';
import type { CommandContext } from './context.js';

/** Shows what lies in the cache, and which of it is configured. */
export async function list(context: CommandContext): Promise<undefined> {
  const { config, args, print, signal } = context;
  const contents = await scanCache(config.models.cacheDir);
  const inventory = await takeInventory(config.models, { signal });
  const roles = new Map<string, string[]>();
  for (const { configured, inspection } of inventory.models) {
    const key = configured.layout === 'plain' ? (configured.files[0]?.path ?? '') : inspection.repository;
    roles.set(key, [...(roles.get(key) ?? []), configured.role]);
  }
  const sources = await scanPrepared(config.models.cacheDir);
  const preparedBytes = sources.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const records = inventory.lock?.prepared ?? [];
  const preparedForms = sources.flatMap(({ source, forms }) =>
    forms.map(({ form, sizeBytes: bytes }) => {
      const recorded = records.some((record) => record.source === source && record.form === form);
      return { source, form, bytes, recorded };
    }),
  );
  if (args.json) print(`${JSON.stringify({ ...document(contents, roles), preparedBytes, preparedForms }, null, 2)}\n`);
  else print(words(contents, roles) + preparedWords(preparedBytes, preparedForms));
}

function preparedWords(bytes: number, forms: readonly { readonly recorded: boolean }[]): string {
  if (bytes === 0) return '';
  const unrecorded = forms.filter(({ recorded }) => !recorded).length;
  const note = unrecorded === 0 ? '' : `, ${unrecorded} of them not in the lock file and so not used`;
  return `and ${saySize(bytes)} in ${sayCount(forms.length, 'prepared form')}${note}\n`;
}

function document(contents: CacheContents, roles: ReadonlyMap<string, readonly string[]>) {
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
      unfinishedBytes: unfinishedBytes(repository),
    })),
    plainFiles: contents.plainFiles.map((file) => ({
      name: file.name,
      bytes: file.sizeBytes,
      lastUsed: timeOf(file.lastUsedMs) ?? null,
      roles: roles.get(file.name) ?? [],
    })),
  };
}

function words(contents: CacheContents, roles: ReadonlyMap<string, readonly string[]>): string {
  const rows = [
    ...contents.repositories.map((repository) => [
      repository.repository,
      saySize(repository.sizeBytes),
      timeOf(repository.lastUsedMs)?.slice(0, 10) ?? '-',
      note(roles.get(repository.repository), unfinishedBytes(repository)),
    ]),
    ...contents.plainFiles.map((file) => [
      file.name,
      saySize(file.sizeBytes),
      timeOf(file.lastUsedMs)?.slice(0, 10) ?? '-',
      note(roles.get(file.name), 0),
    ]),
  ];
  const table = columns([['MODEL', 'SIZE', 'LAST USE', 'CONFIGURED FOR'], ...rows]);
  const total = `${saySize(contents.sizeBytes)} in ${contents.cacheDir}`;
  return rows.length === 0 ? `Nothing in ${contents.cacheDir}.\n` : `${table}\n${total}\n`;
}

function note(roles: readonly string[] | undefined, unfinished: number): string {
  const left = unfinished === 0 ? '' : ` (${saySize(unfinished)} unfinished)`;
  return `${roles?.join(', ') ?? '-'}${left}`;
}

function unfinishedBytes(repository: CachedRepository): number {
  return repository.partials.reduce((total, partial) => total + partial.sizeBytes, 0);
}

function timeOf(atMs: number | undefined): string | undefined {
  return atMs === undefined ? undefined : new Date(atMs).toISOString();
}

/** Rows as columns that line up; the last one is not padded. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, index) => Math.max(...rows.map((row) => (row[index] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, index) => (index === row.length - 1 ? cell : cell.padEnd(widths[index] ?? 0))).join('  '),
    )
    .join('\n');
}
