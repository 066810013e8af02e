import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { eachTensor, parseModelFile } from '../onnx/index.js';
import type { LoadOptions } from './model.js';

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
        // On x86 without VNNI the fast product of 8-bit numbers overflows; the exact one gives the same answers on every CPU.
        x64quantprecision: '1',
      },
    },
  };
}

/**
 * Opens a graph by its path, so that the kernel shares the weights' pages. Weights that lie in a file beside it
 * (`model.onnx_data`) are found by the runtime, unless that file is a link into another folder, which the runtime refuses
 * ("escapes model directory"): then they are read here and handed over.
 */
export async function openSession(
  path: string,
  options: Pick<LoadOptions, 'device' | 'threads'>,
): Promise<InferenceSession> {
  const settings = sessionOptions(options);
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
  const session = settings.extra?.session as object | undefined;
  return { ...settings, extra: { ...settings.extra, session: { ...session, x64quantprecision: '0' } } };
}

/** Names of the files beside a graph that its weights lie in. */
function externalFiles(path: string): readonly string[] {
  const names = new Set<string>();
  eachTensor(parseModelFile(path).graph, (tensor) => {
    if (tensor.data?.kind === 'external') names.add(tensor.data.location);
  });
  return [...names];
}
