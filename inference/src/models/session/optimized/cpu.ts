import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** Features by which the runtime chooses its kernels, and with them the order of prepacked weights. */
const KERNEL_FEATURES = /^(sse|ssse|avx|amx|fma|f16c|asimd|fphp|i8mm|bf16|sve|sme|svebf16|svei8mm)/;

/**
 * The features of this machine's CPU that matter to the runtime, sorted; its name where the system does not list features.
 * A form prepared on another CPU could be wrong here, or stop the process, so they are part of its key.
 */
export function cpuFeatures(): readonly string[] {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    if (line !== undefined)
      return [...new Set(line.trim().split(/\s+/))].filter((flag) => KERNEL_FEATURES.test(flag)).sort();
  } catch {
    // Another system than Linux.
  }
  return [cpus()[0]?.model ?? 'unknown'];
}
