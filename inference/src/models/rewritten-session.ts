import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import {
  eachTensor,
  type GraphFacts,
  graphFacts,
  type OnnxGraph,
  type OnnxModel,
  parseModelFile,
  withExternalWeights,
  writeModel,
} from '../onnx/index.js';
import type { LoadOptions } from './model.js';
import { openSession, sessionOptions } from './session.js';

/**
 * Opens a graph after `change` has rewritten it in memory. The file stays as it is and its weights are not read: the
 * rewritten graph names them as ranges of that file, which the runtime maps, so the kernel shares their pages. `change`
 * returns false when it has changed nothing; then, and when the weights lie in files of their own, the file is opened as it is.
 */
export async function openRewrittenSession(
  path: string,
  options: Pick<LoadOptions, 'device' | 'threads'>,
  change: (model: OnnxModel) => boolean,
): Promise<{ readonly session: InferenceSession; readonly facts: GraphFacts; readonly changed: boolean }> {
  const model = parseModelFile(path);
  if (hasExternalData(model.graph) || !change(model)) {
    return { session: await openSession(path, options), facts: graphFacts(model), changed: false };
  }
  // The runtime refuses data outside the folder it is given, links followed.
  const real = realpathSync(path);
  const settings = sessionOptions(options);
  const session = await InferenceSession.create(writeModel(withExternalWeights(model, basename(real))), {
    ...settings,
    extra: {
      ...settings.extra,
      session: {
        ...(settings.extra?.session as object | undefined),
        model_external_initializers_file_folder_path: dirname(real),
      },
    },
  });
  return { session, facts: graphFacts(model), changed: true };
}

function hasExternalData(graph: OnnxGraph): boolean {
  let found = false;
  eachTensor(graph, (tensor) => {
    if (tensor.data?.kind === 'external') found = true;
  });
  return found;
}
