import {
  type ConfiguredModel,
  inspectModel,
  isSameEntry,
  type Manifest,
  type ManifestEntry,
  ROLES,
  readLock,
  resolveModel,
  resolveModels,
} from '@heimdex/cache';
import { formatBytes, sumSizes, table } from '@heimdex/common';
import type { CommandContext } from './context.js';

/** A variant of a model that is complete on the volume. */
interface PresentVariant {
  readonly variant: string;
  readonly bytes: number;
}

/** A model of the manifest and what the volume has of it. */
interface ModelRow {
  readonly entry: ManifestEntry;
  readonly present: readonly PresentVariant[];
  /** The configured variant; undefined if no variable names the model. */
  readonly configured: string | undefined;
}

/** Shows the models that the variables may name, with the facts of the manifest, and which of them are on the volume. */
export async function models(context: CommandContext): Promise<undefined> {
  const { config, args, print, signal } = context;
  const { cacheDir, lockPath, cacheDirVariable } = config.models;
  const manifest = config.models.manifest();
  const configured = resolveModels(config.models);
  const options = { lock: await readLock(lockPath), cacheDirVariable, signal };
  const rows: ModelRow[] = [];
  for (const entry of firstOfEachName(manifest)) {
    const present: PresentVariant[] = [];
    for (const variant of Object.keys(entry.variants)) {
      const { found } = await inspectModel(cacheDir, resolved(manifest, entry, variant), options);
      if (found === undefined) continue;
      present.push({ variant, bytes: sumSizes(found.files) });
    }
    const { role, name } = entry;
    const chosen = configured.find((model) => isSameEntry(model, { role, entry: name }));
    rows.push({ entry, present, configured: chosen?.variant });
  }
  print(args.json ? document(cacheDir, rows) : words(rows));
}

/** By role. Of two entries with the same name the first is used. */
function firstOfEachName({ entries }: Manifest): ManifestEntry[] {
  return ROLES.flatMap((role) => {
    const mine = entries.filter((entry) => entry.role === role);
    return mine.filter(({ name }, index) => mine.findIndex((other) => other.name === name) === index);
  });
}

function resolved(manifest: Manifest, { role, name }: ManifestEntry, variant: string): ConfiguredModel {
  return resolveModel(manifest, role, `${name}:${variant}`);
}

/** Bytes of the default variant: what is on the volume, else the sum of its weights, else the manifest's own figure. */
function sizeOf({ entry, present }: ModelRow): number | undefined {
  const measured = present.find(({ variant }) => variant === entry.defaultVariant)?.bytes;
  const weights = (entry.variants[entry.defaultVariant] ?? []).filter(({ weights: name }) => name !== undefined);
  const known = weights.flatMap(({ sizeBytes }) => sizeBytes ?? []);
  const whole = weights.length > 0 && known.length === weights.length;
  return measured ?? (whole ? known.reduce((sum, bytes) => sum + bytes, 0) : entry.sizeBytes);
}

function document(cacheDir: string, rows: readonly ModelRow[]) {
  return {
    cacheDir,
    models: rows.map((row) => {
      const { entry, present, configured } = row;
      const { name, aliases, id, role, family, languages, defaultVariant, memoryBytes, licence, note } = entry;
      return {
        name,
        aliases,
        id,
        role,
        family,
        languages: languages ?? null,
        variants: Object.keys(entry.variants),
        defaultVariant,
        compiled: entry.compiled,
        bytes: sizeOf(row) ?? null,
        memoryBytes: memoryBytes ?? null,
        licence: licence ?? null,
        note: note ?? null,
        present,
        configured: configured ?? null,
      };
    }),
  };
}

function words(rows: readonly ModelRow[]): string {
  const lines = rows.map((row) => {
    const { entry, present, configured } = row;
    const { name, aliases, role, languages, memoryBytes, licence } = entry;
    return [
      role,
      aliases[0] ?? name,
      languages ?? '-',
      about(sizeOf(row)),
      about(memoryBytes),
      licence ?? '-',
      present.map(({ variant }) => variant).join(', ') || '-',
      configured ?? '-',
    ];
  });
  const head = ['ROLE', 'NAME', 'LANGUAGES', 'SIZE', 'MEMORY', 'LICENCE', 'ON THE VOLUME', 'CONFIGURED'];
  return [
    ...table([head, ...lines]),
    'SIZE and MEMORY (of one worker) are about those of the default variant; - is not measured. Next: heimdex-downloader plan',
    '',
  ].join('\n');
}

function about(bytes: number | undefined): string {
  return bytes === undefined ? '-' : formatBytes(bytes);
}
