import { isDeepStrictEqual } from 'node:util';
import { InferenceSession } from 'onnxruntime-node';
import { readGraphFacts } from '../../onnx/index.js';
import type { LoadOptions } from '../model.js';
import { externalFilesOf, readExternalFile } from './external-data.js';
import { openOptimized } from './optimized/open.js';
import { type OpenedGraph, type Recipe, withSessionEntries } from './optimized/recipe.js';

/** Settings that every session has, whatever it runs. */
export function sessionOptions(options: Pick<LoadOptions, 'device' | 'threads'>): InferenceSession.SessionOptions {
  return {
    executionProviders: options.device === 'cuda' ? ['cuda', 'cpu'] : ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // Nothing but the end of the world: errors are thrown, and warnings are about the runtime's own optimisations.
    logSeverityLevel: 4,
    extra: {
      session: {
        // Threads that spin while they wait take the cores from the other models' threads.
        intra_op: { allow_spinning: '0' },
        // On x86 without VNNI the fast product of 8-bit numbers overflows; this asks for the exact one. It reaches neither
        // branches of an If nor some graphs, and costs a third more; graphs with narrow weights (../onnx) go without it.
        x64quantprecision: '1',
      },
    },
  };
}

/** What opening a graph takes of the load options. */
export type SessionChoice = Pick<
  LoadOptions,
  'device' | 'threads' | 'externalFiles' | 'prepared' | 'onGraph' | 'onProgress' | 'weights'
>;

/** As `openGraph`, of a file as it is. */
export async function openSession(path: string, options: SessionChoice): Promise<InferenceSession> {
  return (await openGraph(path, options)).session;
}

/** The file as it is: its session, and the facts of its graph without reading it where they were noted. */
const asItIs = (path: string, externalFiles: readonly string[] | undefined): Recipe => ({
  graphTransform: 'none',
  read: () => ({
    facts: () => readGraphFacts(path),
    changed: false,
    create: (settings) => createSession(path, settings, externalFiles),
  }),
});

/** Opens the optimized model of a graph where there is one for this machine, else makes its session by the recipe. */
export async function openGraph(
  path: string,
  options: SessionChoice,
  recipe: Recipe = asItIs(path, options.externalFiles),
): Promise<OpenedGraph> {
  const settings = { ...sessionOptions(options), enableCpuMemArena: recipe.arena ?? true };
  // A GPU keeps its weights in an order of its own.
  if (options.prepared !== undefined && options.device === 'cpu' && recipe.graphTransform !== undefined) {
    const { graph, use } = await openOptimized(options.prepared, path, recipe, settings, options.onProgress);
    options.onGraph?.(use);
    options.onProgress?.();
    if (graph !== undefined) return graph;
  }
  const { create, facts, changed } = recipe.read();
  const session = await create(settings);
  options.onProgress?.();
  return { session, facts, changed };
}

/**
 * Opens a graph by its path, so that the kernel shares the weights' pages. Weights in a file beside it (`model.onnx_data`)
 * are found by the runtime, unless that file is a link into another directory, which the runtime refuses ("escapes model
 * directory"): then they are read here and handed over.
 *
 * @param externalFiles - Absolute paths of the files that the graph may name as places of its weights. Default: none.
 *
 * Throws when the graph names any other file, whatever part of the graph does so.
 */
export async function createSession(
  path: string,
  settings: InferenceSession.SessionOptions,
  externalFiles: readonly string[] = [],
): Promise<InferenceSession> {
  const beside = await externalFilesOf(path, externalFiles);
  try {
    return await InferenceSession.create(path, settings);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const less = lessExact(settings);
    if (CANNOT_BE_EXACT.test(error.message) && !isDeepStrictEqual(less, settings)) {
      return createSession(path, less, externalFiles);
    }
    if (beside.length === 0 || !/external data/i.test(error.message)) throw error;
    const externalData = await Promise.all(
      beside.map(async (file) => ({ path: file.name, data: await readExternalFile(file.path) })),
    );
    return InferenceSession.create(path, { ...settings, externalData });
  }
}

/** What the runtime says of a graph in which two products share a zero point: it cannot make those exact. */
const CANNOT_BE_EXACT = /replace the existing tensor/i;

function lessExact(settings: InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  return withSessionEntries(settings, { x64quantprecision: '0' });
}
