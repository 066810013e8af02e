import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import {
  eachTensor,
  type GraphFacts,
  graphFacts,
  mayOverflow,
  type OnnxGraph,
  type OnnxModel,
  parseModelFile,
  type ReadTensor,
  withExternalWeights,
  withTensorsOf,
  writeModel,
} from '../onnx/index.js';
import { compiledGraph, isCompiled } from './compiled-session.js';
import { type ReadGraph, type Recipe, withSessionEntries } from './prepared/recipe.js';
import { createSession, openGraph, type SessionChoice } from './session.js';

/** A change of a graph in memory. */
export interface Rewriting {
  /** Its name and version. The version goes up when the change gives another graph than before: prepared forms keep it. */
  readonly version: string;
  /** What is told of the graph afterwards must come from the session and the facts: a prepared form is not changed again. */
  readonly change: GraphChange;
}

/** Changes a model in memory, of which `read` reads the constants; false when it has changed nothing. */
export type GraphChange = (model: OnnxModel, read: ReadTensor) => boolean;

/**
 * Opens a graph after `rewriting` has changed it in memory. The file stays as it is and its weights are not read: the
 * rewritten graph names them as ranges of that file, which the runtime maps, so the kernel shares their pages. When nothing
 * was changed, and when the weights lie in files of their own, the file is opened as it is. Where a prepared form has the
 * change already, the file is not read at all; a change without a version is never prepared.
 */
export async function openRewrittenSession(
  path: string,
  options: SessionChoice,
  rewriting: Rewriting | GraphChange,
): Promise<{ readonly session: InferenceSession; readonly facts: GraphFacts; readonly changed: boolean }> {
  const { session, facts, changed } = await openGraph(path, options, recipeOf(path, rewriting));
  return { session, facts: facts(), changed };
}

function recipeOf(path: string, rewriting: Rewriting | GraphChange): Recipe {
  if (typeof rewriting === 'function') return { rewriting: undefined, read: () => rewrite(path, rewriting) };
  return { rewriting: rewriting.version, read: () => rewrite(path, rewriting.change) };
}

function rewrite(path: string, change: GraphChange): ReadGraph {
  const model = parseModelFile(path);
  if (isCompiled(model)) return compiledGraph(path, model);
  if (hasExternalData(model.graph) || !withTensorsOf(path, (read) => change(model, read))) {
    return { facts: () => graphFacts(model), changed: false, create: (settings) => createSession(path, settings) };
  }
  // The runtime refuses data outside the folder it is given, links followed.
  const real = realpathSync(path);
  const entries = {
    model_external_initializers_file_folder_path: dirname(real),
    // The exact 8-bit product is not asked for where the fast one is exact.
    ...(mayOverflow(model.graph) ? {} : { x64quantprecision: '0' }),
  };
  const bytes = writeModel(withExternalWeights(model, basename(real)));
  return {
    facts: () => graphFacts(model),
    changed: true,
    create: (settings) => InferenceSession.create(bytes, withSessionEntries(settings, entries)),
  };
}

function hasExternalData(graph: OnnxGraph): boolean {
  let found = false;
  eachTensor(graph, (tensor) => {
    if (tensor.data?.kind === 'external') found = true;
  });
  return found;
}
