import { readFileSync } from 'node:fs';
import { InferenceSession } from 'onnxruntime-node';

/**
 * Opens a graph in as little memory as possible: weights stay mapped from their file, which is slower and gives the same answers. Not
 * so products by blocks: unless they are packed their activations are not rounded. The server packs them, so it is done here, too.
 */
export function openSession(
  path: string,
  optimised: 'optimised' | 'as it is' = 'optimised',
): Promise<InferenceSession> {
  // Weights lie in a file beside it: the graph's own is small.
  const packs = readFileSync(path).includes('MatMulNBits');
  return InferenceSession.create(path, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(optimised === 'optimised' ? {} : { graphOptimizationLevel: 'disabled' as const }),
    ...(packs ? {} : { extra: { session: { disable_prepacking: '1' } } }),
  });
}
