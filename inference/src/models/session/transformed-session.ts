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

/** An in-memory graph transform. */
export interface GraphTransform {
  /** Name and version. Increase the version when the output changes: it is part of the optimized models' key. */
  readonly version: string;
  /**
   * Facts about the transformed graph must come from the session and `facts`: an optimized model is not transformed
   * again.
   */
  readonly change: GraphChange;
}

/**
 * Transforms a model in memory; returns false when nothing changed. `read` reads the constants to convert; undefined
 * where weights stay unchanged.
 */
export type GraphChange = (model: OnnxModel, read: ReadTensor) => boolean;

/**
 * Opens a graph after `graphTransform` has changed it in memory. The file is not modified and its weights are not read:
 * the transformed graph names them as ranges of that file, which the runtime maps, so the kernel shares their pages. If
 * nothing changed, or if the weights are in external files, the file is opened as it is. If an optimized model already
 * contains the transform, the file is not read at all. A transform without a version is never saved as an optimized
 * model.
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

/** The fused operator takes 1.2 times as long as an Add and a Gelu. */
const UNFUSED = { optimization: { disable_specified_optimizers: 'BiasGeluFusion' } };

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
  // Unmodelled parts may also name a file, so the whole graph is checked.
  if (externalReferences(path).length > 0 || !withTensorsOf(path, changeFrom)) {
    const create = (settings: InferenceSession.SessionOptions) => createSession(path, settings, externalFiles);
    return { facts: () => graphFacts(model), changed: false, create };
  }
  // The runtime refuses data outside its directory, after following links.
  const real = realpathSync(path);
  const entries = {
    model_external_initializers_file_folder_path: dirname(real),
    // The exact 8-bit product is not requested where the fast one is exact, because of the CPU or the weights.
    ...(weights === 'plain' || !mayOverflow(model.graph) ? { x64quantprecision: '0' } : {}),
  };
  const bytes = writeModel(withExternalWeights(model, basename(real)));
  return {
    facts: () => graphFacts(model),
    changed: true,
    create: (settings) => {
      const { extra, ...others } = withSessionEntries(settings, entries);
      return InferenceSession.create(bytes, { ...others, extra: { ...extra, ...UNFUSED } });
    },
  };
}
