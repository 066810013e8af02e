import { basename, dirname, join } from 'node:path';
import type { OptimizedRecord } from '@heimdex/cache';
import { codeOf, messageOf, sumSizes } from '@heimdex/common';
import type { InferenceSession } from 'onnxruntime-node';
import type { GraphFacts } from '../../../onnx/index.js';
import { type OptimizedKey, optimizedKey, optimizedName } from './key.js';
import { createSession, type MakeRequest, makeOptimized } from './make.js';
import { checkFiles, readManifest } from './manifest.js';
import type { OpenedGraph, Recipe } from './recipe.js';
import { graphBytes } from './size.js';
import { removeStale } from './stale.js';
import {
  type GraphUse,
  NOT_OPTIMIZED,
  NOT_READ_BACK,
  NOT_RECORDED,
  NOT_SHARED,
  NOTHING_TO_PACK,
  type OptimizedOptions,
  TOO_SMALL,
  UNKNOWN_BYTES,
} from './use.js';

export interface OptimizedSession {
  readonly settings: InferenceSession.SessionOptions;
  /** Creates what stands for the session, one or several, of the optimized model. */
  open(create: (settings: InferenceSession.SessionOptions) => Promise<InferenceSession>): Promise<InferenceSession>;
  /** Told of each step of saving one. */
  readonly onProgress?: (() => void) | undefined;
}

/** Opens the optimized model of a graph, or reports why none is used. Writes only if creating them is enabled. */
export async function openOptimized(
  options: OptimizedOptions,
  path: string,
  recipe: Recipe,
  { settings, open, onProgress = () => {} }: OptimizedSession,
): Promise<{ readonly graph: OpenedGraph | undefined; readonly use: GraphUse }> {
  const graph = basename(path);
  const plain = (reason: string) => ({ graph: undefined, use: { graph, prepared: false, reason } });
  const source = options.sources[path];
  if (source === undefined) return plain(UNKNOWN_BYTES);
  const key = optimizedKey(recipe.graphTransform ?? '', graphSettings(settings));
  const form = optimizedName(key);
  const dir = join(options.dir, source, form);
  const recorded = options.records.find((one) => one.source === source && one.form === form);
  const { make } = options;
  try {
    const missing = { path, recipe, dir, source, key, form, recorded, settings, onProgress };
    const made = make === undefined ? undefined : await makeMissing(missing, make);
    if (typeof made === 'string') return plain(made);
    const record = made ?? recorded;
    const manifest = await readManifest(dir);
    if (manifest === undefined) return plain(NOT_OPTIMIZED);
    if (record === undefined) return plain(NOT_RECORDED);
    // Programs before this check made them.
    if (!isReadBack(manifest.facts)) return plain(NOT_READ_BACK);
    await checkFiles(dir, record.files, options.verify);
    if (manifest.source !== source || !sameKey(manifest.key, key))
      return plain('the optimized model is of another source');
    const session = await open((own) => createSession(dir, own));
    const opened: OpenedGraph = { session, facts: () => manifest.facts, changed: manifest.changed };
    return {
      graph: opened,
      use: { graph, prepared: true, ...(made === undefined ? {} : { made, madeBytes: sumSizes(made.files) }) },
    };
  } catch (error) {
    const doing = make === undefined ? 'used' : 'created';
    const { use } = plain(`the optimized model cannot be ${doing}: ${messageOf(error)}`);
    return { graph: undefined, use: make !== undefined && isRefusal(error) ? { ...use, unwritable: true } : use };
  }
}

/** An optimized model that may have to be made. */
interface Missing extends Omit<MakeRequest, 'graph' | 'sourceBytes'> {
  /** Of the graph's file. */
  readonly path: string;
  readonly recipe: Recipe;
  readonly form: string;
  readonly recorded: OptimizedRecord | undefined;
}

/** Creates the optimized model unless it is there and whole. Returns its record if it was made, or why it is not worth making. */
async function makeMissing(
  { path, recipe, form, recorded, ...request }: Missing,
  { minBytes, shared }: NonNullable<OptimizedOptions['make']>,
): Promise<OptimizedRecord | string | undefined> {
  const { dir, source, key } = request;
  const sourceBytes = await graphBytes(path);
  if (sourceBytes < minBytes) return TOO_SMALL;
  let made: OptimizedRecord | undefined;
  if (recorded === undefined || !(await isWhole(dir, source, recorded))) {
    const graph = recipe.read();
    if (graph.packs === false) return NOTHING_TO_PACK;
    if (graph.packs === true && !shared) return NOT_SHARED;
    if (!isReadBack(graph.facts())) return NOT_READ_BACK;
    made = { source, form, files: await makeOptimized({ ...request, graph, sourceBytes }) };
  }
  // A failure to remove, as on a read-only volume, is harmless.
  await removeStale(dirname(dir), key).catch(() => {});
  return made;
}

/**
 * Whether a session computes the same numbers with the packed weights that another one saved. Of blockwise products onnxruntime 1.30 reads
 * them back as NaN in some shapes (inputs of 512 and 768, of 4 bits 1024 as well): Whisper base said nothing.
 */
function isReadBack({ opTypes }: GraphFacts): boolean {
  return !opTypes.has('com.microsoft::MatMulNBits');
}

/** Whether the system refuses to write, as opposed to running out of space. */
function isRefusal(error: unknown): boolean {
  return /^(EROFS|EACCES|EPERM|ENOTDIR)$/.test(codeOf(error) ?? '');
}

async function isWhole(dir: string, source: string, record: OptimizedRecord): Promise<boolean> {
  try {
    await checkFiles(dir, record.files, 'full');
    return (await readManifest(dir))?.source === source;
  } catch {
    return false;
  }
}

function sameKey(one: OptimizedKey, other: OptimizedKey): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The settings that change the optimized graph; threads do not. */
function graphSettings({ graphOptimizationLevel, extra }: InferenceSession.SessionOptions): string {
  const session = { ...(extra?.session as object | undefined), intra_op: undefined };
  return JSON.stringify({ graphOptimizationLevel, session });
}
