import type { InferenceSession } from 'onnxruntime-node';
import { type GraphFacts, quantizePerToken, readGraphFacts } from '../../onnx/index.js';
import { openSession, type SessionChoice } from './open-session.js';
import { type GraphTransform, openTransformedSession } from './transformed-session.js';

/** Dynamic int8 products with per-row scales. */
export const ROW_SCALES: GraphTransform = {
  version: 'row-scales-5',
  change: (model, read) => quantizePerToken(model, read) > 0,
};

/**
 * Opens a graph with per-token quantization: a dynamic int8 graph scales its activations per row (token, patch). An
 * item's result then does not depend on its batch, products do not overflow on any CPU, and results are closer to the
 * float model's. A graph the runtime cannot run this way is opened unchanged. Throws when it cannot be opened at all.
 */
export async function openRowScaled(
  path: string,
  options: SessionChoice,
): Promise<{ readonly session: InferenceSession; readonly facts: GraphFacts }> {
  try {
    return await openTransformedSession(path, options, ROW_SCALES);
  } catch {
    // A broken file fails again here, with the runtime's own message.
    return { session: await openSession(path, options), facts: readGraphFacts(path) };
  }
}
