import { createHash } from 'node:crypto';
import { env } from 'onnxruntime-node';
import { VERSION } from '../../../version.js';
import { cpuFeatures } from './cpu.js';

/** Increase when the layout of the directory changes. */
const OPTIMIZED_FORMAT = 2;

/** Everything an optimized model depends on besides its source. Any difference makes it another optimized model. */
export interface OptimizedKey {
  readonly format: number;
  readonly program: string;
  readonly runtime: string;
  readonly platform: string;
  readonly cpu: readonly string[];
  /** How the graph was transformed before optimization. */
  readonly graphTransform: string;
  /** Session settings that change the graph. */
  readonly settings: string;
}

/** The key of an optimized model created and used by this program on this machine. */
export function optimizedKey(graphTransform: string, settings: string): OptimizedKey {
  return {
    format: OPTIMIZED_FORMAT,
    program: VERSION,
    runtime: env.versions.node ?? env.versions.common,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpuFeatures(),
    graphTransform,
    settings,
  };
}

/** The name of an optimized model among those of the same source: 32 hexadecimal digits. */
export function optimizedName(key: OptimizedKey): string {
  return createHash('sha256').update(JSON.stringify(key)).digest('hex').slice(0, 32);
}
