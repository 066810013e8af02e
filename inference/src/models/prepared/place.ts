import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { env } from 'onnxruntime-node';
import { VERSION } from '../../version.js';
import { cpuFeatures } from './cpu.js';

/** Goes up when the form of the folder changes. */
export const PREPARED_FORMAT = 1;

/** All that a prepared form depends on beside its source: where one part differs, it is another form. */
export interface PreparedKey {
  readonly format: number;
  readonly program: string;
  readonly runtime: string;
  readonly platform: string;
  readonly cpu: readonly string[];
  /** How the graph was changed before it was optimised. */
  readonly rewriting: string;
  /** Session settings that change the graph. */
  readonly settings: string;
}

/** The key of a form made and used by this program on this machine. */
export function preparedKey(rewriting: string, settings: string): PreparedKey {
  return {
    format: PREPARED_FORMAT,
    program: VERSION,
    runtime: env.versions.node ?? env.versions.common,
    platform: `${process.platform}-${process.arch}`,
    cpu: cpuFeatures(),
    rewriting,
    settings,
  };
}

/** The folder of a form. `root` is the folder of all prepared forms, `source` what identifies the bytes it is made of. */
export function formFolder(root: string, source: string, key: PreparedKey): string {
  const digest = createHash('sha256').update(JSON.stringify(key)).digest('hex');
  return join(root, source, digest.slice(0, 32));
}
