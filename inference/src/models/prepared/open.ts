import { basename, dirname } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { makeForm, openForm } from './make.js';
import { checkFiles, readManifest } from './manifest.js';
import { formFolder, type PreparedKey, preparedKey } from './place.js';
import type { OpenedGraph, Recipe } from './recipe.js';
import { graphBytes } from './size.js';
import { removeStale } from './stale.js';
import { type GraphUse, NOT_PREPARED, type PreparedOptions, TOO_SMALL, UNKNOWN_BYTES } from './use.js';

/** Opens the prepared form of a graph, or says why there is none to use. Writes only when told to make forms. */
export async function openPrepared(
  options: PreparedOptions,
  path: string,
  recipe: Recipe,
  settings: InferenceSession.SessionOptions,
): Promise<{ readonly graph: OpenedGraph | undefined; readonly use: GraphUse }> {
  const graph = basename(path);
  const plain = (reason: string) => ({ graph: undefined, use: { graph, prepared: false, reason } });
  const source = options.sources[path];
  if (source === undefined) return plain(UNKNOWN_BYTES);
  const key = preparedKey(recipe.rewriting ?? '', graphSettings(settings));
  const folder = formFolder(options.folder, source, key);
  let madeBytes: number | undefined;
  try {
    if (options.make !== undefined) {
      const sourceBytes = await graphBytes(path);
      if (sourceBytes < options.make.minBytes) return plain(TOO_SMALL);
      if (!(await isWhole(folder, source))) {
        madeBytes = await makeForm({ folder, source, key, sourceBytes, recipe, settings });
      }
      await removeStale(dirname(folder), key);
    }
    const manifest = await readManifest(folder);
    if (manifest === undefined) return plain(NOT_PREPARED);
    if (manifest.source !== source || !sameKey(manifest.key, key)) return plain('the form is of another source');
    await checkFiles(folder, manifest, options.verify);
    const session = await openForm(folder, settings);
    const opened: OpenedGraph = { session, facts: () => manifest.facts, changed: manifest.changed };
    return { graph: opened, use: { graph, prepared: true, ...(madeBytes === undefined ? {} : { madeBytes }) } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return plain(`the form cannot be ${options.make === undefined ? 'used' : 'made'}: ${reason}`);
  }
}

async function isWhole(folder: string, source: string): Promise<boolean> {
  try {
    const manifest = await readManifest(folder);
    if (manifest?.source !== source) return false;
    await checkFiles(folder, manifest, 'full');
    return true;
  } catch {
    return false;
  }
}

function sameKey(one: PreparedKey, other: PreparedKey): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The settings that change the optimised graph; threads do not. */
function graphSettings({ graphOptimizationLevel, extra }: InferenceSession.SessionOptions): string {
  const session = { ...(extra?.session as object | undefined), intra_op: undefined };
  return JSON.stringify({ graphOptimizationLevel, session });
}
