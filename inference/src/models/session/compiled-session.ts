import type { InferenceSession } from 'onnxruntime-node';
import { graphFacts, type OnnxModel, parseModelFile } from '../../onnx/index.js';
import { createSession, openGraph, type SessionChoice } from './open-session.js';
import { type ReadGraph, withSessionEntries } from './optimized/recipe.js';

/** Producer name that the compiler writes into its graphs. */
const COMPILER = 'heimdex';

/** Whether a graph was written by the compiler and therefore needs no further transform. */
export function isCompiled(model: Pick<OnnxModel, 'producer'>): boolean {
  return model.producer === COMPILER;
}

/**
 * Opens a compiled graph. Throws when it cannot be opened.
 *
 * @param arena - Whether the session keeps the memory of its runs for the next ones. Default true. Without it a graph whose outputs
 *   are most of its memory gives them back with the last tensor; with it Whisper medium's cross attention keeps twice its 295 MB.
 */
export async function openCompiled(path: string, options: SessionChoice, arena = true): Promise<InferenceSession> {
  const read = () => compiledGraph(path, parseModelFile(path), options.externalFiles);
  return (await openGraph(path, options, { graphTransform: 'compiled', read, arena })).session;
}

/** Session options for a compiled graph. */
export function compiledGraph(path: string, model: OnnxModel, externalFiles: readonly string[] | undefined): ReadGraph {
  // Blockwise products are several times slower unless prepacked. All others are nearly as fast from the mapped file,
  // whose pages all processes share.
  const packs = model.graph.nodes.some(({ opType }) => opType === 'MatMulNBits');
  const entries: Record<string, string> = packs ? {} : { disable_prepacking: '1' };
  return {
    facts: () => graphFacts(model),
    changed: false,
    create: (settings) => createSession(path, compiledSettings(settings, entries), externalFiles),
  };
}

/** Session settings for a compiled graph, whose weights are safe from overflow, with entries of its own. */
export function compiledSettings(
  settings: InferenceSession.SessionOptions,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  // A plan of a run's memory for each length of input is memory of its own, and saves no time in runs of this size.
  return { ...withSessionEntries(settings, { x64quantprecision: '0', ...entries }), enableMemPattern: false };
}
