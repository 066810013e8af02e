import type { InferenceSession } from 'onnxruntime-node';

/**
 * Opens a graph in a file as it is, or one in memory with its large constants in files of `dir` to be optimized. Takes minimal memory:
 * weights stay mapped from their file, which is slower and has the same results. Exception: a layer with products by blocks. Unless it is
 * packed its activations are not rounded, and all its weights are held in float32. The server packs them, so it is done here too.
 */
export async function openSession(
  source: string | { readonly model: Uint8Array; readonly dir: string },
): Promise<InferenceSession> {
  const isFile = typeof source === 'string';
  const packs = !isFile && Buffer.from(source.model).includes('MatMulNBits');
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    enableCpuMemArena: false,
    enableMemPattern: false,
    logSeverityLevel: 4,
    ...(isFile && { graphOptimizationLevel: 'disabled' as const }),
    extra: {
      session: {
        ...(packs ? {} : { disable_prepacking: '1' }),
        ...(isFile ? {} : { model_external_initializers_file_folder_path: source.dir }),
      },
    },
  };
  // Loaded with the first graph: a run that only reads a config.json needs no runtime.
  const runtime = (await import('onnxruntime-node')).InferenceSession;
  return isFile ? runtime.create(source, options) : runtime.create(source.model, options);
}
