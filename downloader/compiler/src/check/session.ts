import { InferenceSession } from 'onnxruntime-node';

/** Opens a graph as little memory as possible: weights stay mapped from their file. Slower, and the same answers. */
export function openSession(
  path: string,
  optimised: 'optimised' | 'as it is' = 'optimised',
): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(optimised === 'optimised' ? {} : { graphOptimizationLevel: 'disabled' as const }),
    extra: { session: { disable_prepacking: '1' } },
  });
}
