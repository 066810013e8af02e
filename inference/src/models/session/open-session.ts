import { isDeepStrictEqual } from 'node:util';
import { InferenceSession } from 'onnxruntime-node';
import { readGraphFacts } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { createSharing } from './core-sharing.js';
import { externalFilesOf, readExternalFile } from './external-data.js';
import { openOptimized } from './optimized/open.js';
import { type OpenedGraph, type Recipe, withSessionEntries } from './optimized/recipe.js';

/** Settings of every session. */
export function sessionOptions(options: Pick<LoadOptions, 'device' | 'threads'>): InferenceSession.SessionOptions {
  return {
    executionProviders: options.device === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // Fatal messages only: errors are thrown, and warnings concern the runtime's own optimizations.
    logSeverityLevel: 4,
    extra: {
      session: {
        // Threads that spin take the cores from other models' threads, and threads that sleep take long to wake: a step of Whisper medium
        // has 340 parts that all threads share. Spinning as long as the gaps between them takes 0.8 of the time, and no more of the CPU,
        // with several workers busy at once as well.
        intra_op: { allow_spinning: '1', spin_duration_us: '20' },
        // On x86 without VNNI the fast 8-bit product overflows; this selects the exact one. It does not apply to
        // branches of an If and to some graphs, and costs a third more. Graphs with overflow-safe weights (../onnx) run
        // without it.
        x64quantprecision: '1',
      },
    },
  };
}

/** The load options that apply to opening a graph. */
export type SessionChoice = Pick<
  LoadOptions,
  'cores' | 'device' | 'sharedThreads' | 'threads' | 'externalFiles' | 'prepared' | 'onGraph' | 'onProgress' | 'weights'
>;

/** Like `openGraph`, for an untransformed file. */
export async function openSession(path: string, options: SessionChoice): Promise<InferenceSession> {
  return (await openGraph(path, options)).session;
}

/** Opens the file as it is: its session, and the facts of its graph, if recorded, without reading it. */
const asItIs = (path: string, externalFiles: readonly string[] | undefined): Recipe => ({
  graphTransform: 'none',
  read: () => ({
    facts: () => readGraphFacts(path),
    changed: false,
    create: (settings) => createSession(path, settings, externalFiles),
  }),
});

/**
 * Opens the optimized model of a graph if there is one for this machine; otherwise builds its session by the recipe.
 */
export async function openGraph(
  path: string,
  options: SessionChoice,
  recipe: Recipe = asItIs(path, options.externalFiles),
): Promise<OpenedGraph> {
  const settings = { ...sessionOptions(options), enableCpuMemArena: recipe.arena ?? true };
  // A GPU uses its own weight layout.
  if (options.prepared !== undefined && options.device === 'cpu' && recipe.graphTransform !== undefined) {
    const { graph, use } = await openOptimized(options.prepared, path, recipe, {
      settings,
      open: (create) => createSharing(settings, options, create),
      onProgress: options.onProgress,
    });
    options.onGraph?.(use);
    options.onProgress?.();
    if (graph !== undefined) return graph;
  }
  const { create, facts, changed, packs } = recipe.read();
  // Each session would pack a copy of the weights.
  const session = packs === false ? await createSharing(settings, options, create) : await create(settings);
  options.onProgress?.();
  return { session, facts, changed };
}

/**
 * Opens a graph by its path, so that the kernel shares the weights' pages. The runtime finds external weights
 * (`model.onnx_data`) itself unless the file is a link into another directory, which the runtime refuses ("escapes
 * model directory"). Such files are read here and passed in.
 *
 * @param externalFiles - Absolute paths of allowed external weight files. Default: none.
 *
 * Throws when any part of the graph names another file.
 */
export async function createSession(
  path: string,
  settings: InferenceSession.SessionOptions,
  externalFiles: readonly string[] = [],
): Promise<InferenceSession> {
  const externalPaths = await externalFilesOf(path, externalFiles);
  try {
    return await InferenceSession.create(path, settings);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const less = lessExact(settings);
    if (CANNOT_BE_EXACT.test(error.message) && !isDeepStrictEqual(less, settings)) {
      return createSession(path, less, externalFiles);
    }
    if (externalPaths.length === 0 || !/external data/i.test(error.message)) throw error;
    const externalData = await Promise.all(
      externalPaths.map(async (file) => ({ path: file.name, data: await readExternalFile(file.path) })),
    );
    return InferenceSession.create(path, { ...settings, externalData });
  }
}

/** The runtime's error for a graph in which two products share a zero point: it cannot make those exact. */
const CANNOT_BE_EXACT = /replace the existing tensor/i;

function lessExact(settings: InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  return withSessionEntries(settings, { x64quantprecision: '0' });
}
