/** Recognizes that the memory of the GPU is full, which CUDA and onnxruntime say in the words of their source code. */

const OUT_OF_MEMORY =
  /CUDA failure 2: out of memory|CUBLAS_STATUS_ALLOC_FAILED|Failed to allocate memory for requested buffer/;

const PROBLEM = 'the GPU has too little free memory (nvidia-smi lists the programs that use it)';

/** What an operator can do about it. */
export const GPU_MEMORY_REMEDY =
  'End other programs on the GPU, assign one with more memory, start fewer workers (WORKERS_SPEECH and the like), or set DEVICE=cpu.';

/** Returns the problem in a few words if the text is such an error, else undefined. */
export function gpuMemoryProblem(text: string): string | undefined {
  return OUT_OF_MEMORY.test(text) ? PROBLEM : undefined;
}
