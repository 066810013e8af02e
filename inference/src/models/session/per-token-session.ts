import type { InferenceSession } from 'onnxruntime-node';
import { type GraphFacts, quantizePerToken, readGraphFacts } from '../../onnx/index.js';
import { openSession, type SessionChoice } from './open-session.js';
import { type GraphTransform, openTransformedSession } from './transformed-session.js';

/** Dynamic int8 products, a scale a row. */
export const ROW_SCALES: GraphTransform = {
  version: 'row-scales-3',
  change: (model, read) => quantizePerToken(model, read) > 0,
};

/**
 * Opens a graph, and has a dynamic int8 one scale its activations a row (a token, a patch) at a time: an item's answer then no
 * longer depends on its batch, no CPU's product overflows, and the answer comes nearer to the float model's. A graph the
 * runtime cannot take so is opened as it is. Throws when it cannot be opened at all.
 */
export async function openRowScaled(
  path: string,
  options: SessionChoice,
): Promise<{ readonly session: InferenceSession; readonly facts: GraphFacts }> {
  try {
    return await openTransformedSession(path, options, ROW_SCALES);
  } catch {
    // A broken file fails again here, with the runtime's own words.
    return { session: await openSession(path, options), facts: readGraphFacts(path) };
  }
}
