import type { ConfiguredModel } from '@heimdex/cache';
import { DownloaderError } from '../errors.js';

/** An error of a model that cannot be compiled or served. `problem` is a clause, `or` another way out than another model. */
export function cannotCompile({ id, variable }: ConfiguredModel, problem: string, or = ''): DownloaderError {
  return new DownloaderError(
    'CHECKPOINT_INVALID',
    `${id} cannot be compiled: ${problem.replace(/\.$/, '')}. Choose another model with ${variable}${or}, then run: heimdex-downloader plan`,
  );
}
