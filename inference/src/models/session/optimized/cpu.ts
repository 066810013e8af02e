import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** CPU features that determine the runtime's kernels and the layout of prepacked weights. */
const KERNEL_FEATURES = /^(sse|ssse|avx|amx|fma|f16c|asimd|fphp|i8mm|bf16|sve|sme|svebf16|svei8mm)/;

/**
 * Returns the sorted features of this CPU that matter to the runtime, or its name where the system does not list
 * features. They are part of the key, because a model optimized on another CPU could give wrong results or crash.
 */
export function cpuFeatures(): readonly string[] {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    if (line !== undefined)
      return [...new Set(line.trim().split(/\s+/))].filter((flag) => KERNEL_FEATURES.test(flag)).sort();
  } catch {
    // Not Linux.
  }
  return [cpus()[0]?.model ?? 'unknown'];
}
