import { readFileSync } from 'node:fs';
import { arch } from 'node:os';

/**
 * Whether this machine's 8-bit products are exact for all weights: those of x86 without VNNI overflow in 16 bits, unless the
 * weights are made for it. True where the system does not say (other systems than Linux).
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
