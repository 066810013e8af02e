import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import {
  externalReferences,
  type GraphFacts,
  graphFacts,
  mayOverflow,
  type OnnxModel,
  parseModelFile,
  type ReadTensor,
  withExternalWeights,
  withTensorsOf,
  writeModel,
} from '../../onnx/index.js';
import type { WeightsForm } from '../model.js';
import { compiledGraph, isCompiled } from './compiled-session.js';
import { createSession, openGraph, type SessionChoice } from './open-session.js';
import { type ReadGraph, type Recipe, withSessionEntries } from './optimized/recipe.js';
import { weightsForm } from './weights-form.js';

/** A change of a graph in memory. */
export interface GraphTransform {
  /** Its name and version. The version goes up when the change gives another graph than before: optimized models keep it. */
  readonly version: string;
  /** What is told of the graph afterwards must come from the session and the facts: an optimized model is not changed again. */
  readonly change: GraphChange;
}

/**
 * Changes a model in memory; false when it has changed nothing. `read` reads the constants whose form is to change: none where
 * weights stay plain.
 */
export type GraphChange = (model: OnnxModel, read: ReadTensor) => boolean;

/**
 * Opens a graph after `graphTransform` has changed it in memory. The file stays as it is and its weights are not read: the
 * rewritten graph names them as ranges of that file, which the runtime maps, so the kernel shares their pages. When nothing
 * was changed, and when the weights lie in files of their own, the file is opened as it is. Where an optimized model has the
 * change already, the file is not read at all; a change without a version is never prepared.
 */
export async function openTransformedSession(
  path: string,
  options: SessionChoice,
  graphTransform: GraphTransform | GraphChange,
): Promise<{ readonly session: InferenceSession; readonly facts: GraphFacts; readonly changed: boolean }> {
  const { session, facts, changed } = await openGraph(path, options, await recipeOf(path, options, graphTransform));
  return { session, facts: facts(), changed };
}

async function recipeOf(
  path: string,
  options: SessionChoice,
  graphTransform: GraphTransform | GraphChange,
): Promise<Recipe> {
  const { externalFiles } = options;
  if (typeof graphTransform === 'function') {
    return { graphTransform: undefined, read: () => rewrite(path, graphTransform, undefined, externalFiles) };
  }
  const weights = await weightsForm(options);
  const read = () => rewrite(path, graphTransform.change, weights, externalFiles);
  return { graphTransform: `${graphTransform.version} ${weights}`, read };
}

const READ_NOTHING: ReadTensor = () => undefined;

function rewrite(
  path: string,
  change: GraphChange,
  weights: WeightsForm | undefined,
  externalFiles: readonly string[] | undefined,
): ReadGraph {
  const model = parseModelFile(path);
  if (isCompiled(model)) return compiledGraph(path, model, externalFiles);
  const changeFrom = (read: ReadTensor) => change(model, weights === 'plain' ? READ_NOTHING : read);
  // Also what is not modelled may name a file, so the whole file is asked.
  if (externalReferences(path).length > 0 || !withTensorsOf(path, changeFrom)) {
    const create = (settings: InferenceSession.SessionOptions) => createSession(path, settings, externalFiles);
    return { facts: () => graphFacts(model), changed: false, create };
  }
  // The runtime refuses data outside the directory it is given, links followed.
  const real = realpathSync(path);
  const entries = {
    model_external_initializers_file_folder_path: dirname(real),
    // The exact 8-bit product is not asked for where the fast one is exact: of such a CPU, or of such weights.
    ...(weights === 'plain' || !mayOverflow(model.graph) ? { x64quantprecision: '0' } : {}),
  };
  const bytes = writeModel(withExternalWeights(model, basename(real)));
  return {
    facts: () => graphFacts(model),
    changed: true,
    create: (settings) => InferenceSession.create(bytes, withSessionEntries(settings, entries)),
  };
}
