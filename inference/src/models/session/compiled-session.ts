import { realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { graphFacts, type OnnxModel, parseModelFile, writeModel } from '../../onnx/index.js';
import { externalFilesOf } from './external-data.js';
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
 *   are most of its memory gives them back with the last tensor; with it Whisper medium's cross attention in float32 keeps twice its 295 MB.
 * @param parsed - The graph, if it has been read from `path` already.
 */
export async function openCompiled(
  path: string,
  options: SessionChoice,
  arena = true,
  parsed?: OnnxModel,
): Promise<InferenceSession> {
  const read = () => compiledGraph(path, parsed ?? parseModelFile(path), options.externalFiles);
  return (await openGraph(path, options, { graphTransform: 'compiled', read, arena })).session;
}

/** A compiled graph changed in memory. */
export interface ChangedGraph {
  readonly model: OnnxModel;
  /** Name and version of the change, for optimized models of it. */
  readonly version: string;
}

/** Like `openCompiled`, for a graph that was changed since it was read from `path`. Its weights stay in their file. */
export async function openChanged(
  path: string,
  { model, version }: ChangedGraph,
  options: SessionChoice,
  arena: boolean,
): Promise<InferenceSession> {
  const read = () =>
    readCompiled(model, true, (settings) => createChanged(path, model, settings, options.externalFiles));
  return (await openGraph(path, options, { graphTransform: `compiled ${version}`, read, arena })).session;
}

/** Creates the session of a graph that was changed since it was read from `path`, whose weights lie beside it. */
export async function createChanged(
  path: string,
  model: OnnxModel,
  settings: InferenceSession.SessionOptions,
  externalFiles: readonly string[] = [],
): Promise<InferenceSession> {
  await externalFilesOf(path, externalFiles);
  const beside = { model_external_initializers_file_folder_path: realpathSync(dirname(path)) };
  return InferenceSession.create(writeModel(model), withSessionEntries(settings, beside));
}

/** How a compiled graph is opened. */
export function compiledGraph(path: string, model: OnnxModel, externalFiles: readonly string[] | undefined): ReadGraph {
  return readCompiled(model, false, (settings) => createSession(path, settings, externalFiles));
}

function readCompiled(model: OnnxModel, changed: boolean, create: ReadGraph['create']): ReadGraph {
  const packsWeights = packs(model);
  const entries: Readonly<Record<string, string>> = packsWeights ? {} : { disable_prepacking: '1' };
  return {
    facts: () => graphFacts(model),
    changed,
    packs: packsWeights,
    create: (settings) => create(compiledSettings(settings, entries)),
  };
}

/** Of 8-bit products, the largest part that may multiply weights which another one multiplies too: each packs them for itself. */
const MAX_REPEATED = 0.25;

/**
 * Whether the runtime packs the weights of 8-bit products into its own memory. Blockwise products are several times slower unless it does.
 * Others take 1.16 times as long from the mapped file (SigLIP so400m; 1.1 to 1.17 Whisper medium's encoder, 1.7 BGE-M3 with 12 tokens, 1.8 a
 * decoder's step), so they are packed unless that would hold much of the weights twice, as with two products for one (16 bits). Float weights stay mapped.
 */
function packs(model: OnnxModel): boolean {
  const { nodes } = model.graph;
  if (nodes.some(({ opType }) => opType === 'MatMulNBits')) return true;
  const weights = nodes.flatMap(({ opType, inputs: [, one = ''] }) => (opType === 'MatMulIntegerToFloat' ? [one] : []));
  return weights.length - new Set(weights).size <= MAX_REPEATED * weights.length && weights.length > 0;
}

/** Session settings for a compiled graph, whose weights are safe from overflow, with entries of its own. */
export function compiledSettings(
  settings: InferenceSession.SessionOptions,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  // A plan of a run's memory for each length of input is memory of its own, and saves no time in runs of this size.
  return { ...withSessionEntries(settings, { x64quantprecision: '0', ...entries }), enableMemPattern: false };
}
