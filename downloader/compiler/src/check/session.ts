import { InferenceSession } from 'onnxruntime-node';

/** Opens a graph as little memory as possible: weights stay mapped from their file. Slower, and the same answers. */
export function openSession(path: string): Promise<InferenceSession> {
  return InferenceSession.create(path, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
    extra: { session: { disable_prepacking: '1' } },
  });
}
