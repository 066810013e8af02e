/**
 * Paths of optimized models in a cache: `.prepared/<source>/<key>/`. An optimized model is a graph as optimized by the runtime,
 * with its weights in the order in which the machine's kernels read them. It is derived from the volume and can be removed at
 * any time. Only the server knows its content; this is what `list` and `prune` need.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { isExternalDataOf } from './external-data.js';
import type { FoundFile, FoundModel } from './found-model.js';
import { namesIn, sizeBelow } from './if-there.js';

/** Returns the directory of all optimized models. */
export function optimizedDir(cacheDir: string): string {
  return join(cacheDir, '.prepared');
}

/**
 * Returns what identifies the bytes of each graph of a model, external weights included: 64 hexadecimal digits by
 * the graph's absolute path. A graph without a known hash is omitted. Pure.
 */
export function optimizedSources(model: Pick<FoundModel, 'files'>): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  for (const graph of model.files.filter(({ weights }) => weights !== undefined)) {
    const parts = [graph, ...model.files.filter(({ path }) => isExternalDataOf(graph.path, path))];
    const lines = parts.map(({ hash }) => hash && `${hash.type}:${hash.value}`);
    if (!lines.includes(undefined)) sources.set(graph.absolutePath, sourceOf(graph, lines.join('\n')));
  }
  return sources;
}

/** Returns the same of several models, without the paths. Pure. */
export function allOptimizedSources(models: readonly Pick<FoundModel, 'files'>[]): ReadonlySet<string> {
  return new Set(models.flatMap((model) => [...optimizedSources(model).values()]));
}

function sourceOf({ hash }: FoundFile, lines: string): string {
  if (hash?.type === 'sha256' && lines === `sha256:${hash.value}`) return hash.value;
  return createHash('sha256').update(lines).digest('hex');
}

/** All optimized models of one source. */
export interface OptimizedSource {
  /** Its name in the directory, as optimizedSources gives it. */
  readonly source: string;
  readonly path: string;
  readonly sizeBytes: number;
  /** Its forms, one per kind of machine and program version. */
  readonly forms: readonly OptimizedModel[];
}

/** One optimized model on the volume. */
export interface OptimizedModel {
  readonly form: string;
  readonly path: string;
  readonly sizeBytes: number;
}

/** Scans the directory of optimized models; empty if there is none. Rejects if a directory cannot be read. */
export async function scanOptimized(cacheDir: string): Promise<readonly OptimizedSource[]> {
  const root = optimizedDir(cacheDir);
  const found: OptimizedSource[] = [];
  for (const source of (await namesIn(root)).filter((name) => /^[0-9a-f]{64}$/.test(name))) {
    const path = join(root, source);
    const forms: OptimizedModel[] = [];
    for (const form of (await namesIn(path)).filter((name) => /^[0-9a-f]{32}$/.test(name))) {
      forms.push({ form, path: join(path, form), sizeBytes: await bytesBelow(join(path, form)) });
    }
    found.push({ source, path, sizeBytes: await bytesBelow(path), forms });
  }
  return found;
}

async function bytesBelow(path: string): Promise<number> {
  return (await sizeBelow(path))?.sizeBytes ?? 0;
}
