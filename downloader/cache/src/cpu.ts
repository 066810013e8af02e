import { readFileSync } from 'node:fs';
import { arch } from 'node:os';

/**
 * Returns whether this machine's 8-bit products are exact for all weights: on x86 without VNNI they overflow 16 bits unless the
 * weights have a reduced range. True if the system does not report it (other systems than Linux).
 */
export function hasExactByteProducts(): boolean {
  if (arch() !== 'x64') return true;
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
    return flags === undefined || /\b(avx512_vnni|avx_vnni)\b/.test(flags);
  } catch {
    return true;
  }
}
