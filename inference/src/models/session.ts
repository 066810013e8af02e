import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { eachTensor, parseModelFile, readGraphFacts } from '../onnx/index.js';
import type { LoadOptions } from './model.js';
import { openPrepared } from './prepared/open.js';
import { type OpenedGraph, type Recipe, withSessionEntries } from './prepared/recipe.js';

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
export type SessionChoice = Pick<LoadOptions, 'device' | 'threads' | 'prepared' | 'onGraph' | 'weights'>;

/** As `openGraph`, of a file as it is. */
export async function openSession(path: string, options: SessionChoice): Promise<InferenceSession> {
  return (await openGraph(path, options)).session;
}

/** The file as it is: its session, and the facts of its graph without reading it where they were noted. */
const asItIs = (path: string): Recipe => ({
  rewriting: 'none',
  read: () => ({
    facts: () => readGraphFacts(path),
    changed: false,
    create: (settings) => createSession(path, settings),
  }),
});

/** Opens the prepared form of a graph where there is one for this machine, else makes its session by the recipe. */
export async function openGraph(
  path: string,
  options: SessionChoice,
  recipe: Recipe = asItIs(path),
): Promise<OpenedGraph> {
  const settings = sessionOptions(options);
  // A GPU keeps its weights in an order of its own.
  if (options.prepared !== undefined && options.device === 'cpu' && recipe.rewriting !== undefined) {
    const { graph, use } = await openPrepared(options.prepared, path, recipe, settings);
    options.onGraph?.(use);
    if (graph !== undefined) return graph;
  }
  const { create, facts, changed } = recipe.read();
  return { session: await create(settings), facts, changed };
}

/**
 * Opens a graph by its path, so that the kernel shares the weights' pages. Weights that lie in a file beside it
 * (`model.onnx_data`) are found by the runtime, unless that file is a link into another folder, which the runtime refuses
 * ("escapes model directory"): then they are read here and handed over.
 */
export async function createSession(
  path: string,
  settings: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(path, settings);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (CANNOT_BE_EXACT.test(error.message)) return InferenceSession.create(path, lessExact(settings));
    if (!/external data/i.test(error.message)) throw error;
    const externalData = await Promise.all(
      externalFiles(path).map(async (name) => ({ path: name, data: await readFile(join(dirname(path), name)) })),
    );
    if (externalData.length === 0) throw error;
    return InferenceSession.create(path, { ...settings, externalData });
  }
}

/** What the runtime says of a graph in which two products share a zero point: it cannot make those exact. */
const CANNOT_BE_EXACT = /replace the existing tensor/i;

function lessExact(settings: InferenceSession.SessionOptions): InferenceSession.SessionOptions {
  return withSessionEntries(settings, { x64quantprecision: '0' });
}

/** Names of the files beside a graph that its weights lie in. */
function externalFiles(path: string): readonly string[] {
  const names = new Set<string>();
  eachTensor(parseModelFile(path).graph, (tensor) => {
    if (tensor.data?.kind === 'external') names.add(tensor.data.location);
  });
  return [...names];
}
