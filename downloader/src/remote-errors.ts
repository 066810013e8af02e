import { posix } from 'node:path';
import type { HubSource, ModelFile } from '@heimdex/cache';
import type { ModelState } from './cache-state.js';
import { tokenizerAdvice } from './compile/cannot-compile.js';
import { DownloaderError } from './errors.js';

/** Adds to the error of a commit that the hub does not know what chose it. */
export function goneCommit(
  error: unknown,
  who: 'The lock file chose' | 'The volume has',
  repository: string,
  commit: string,
): unknown {
  if (!(error instanceof DownloaderError) || error.code !== 'NOT_FOUND') return error;
  const [what = ''] = error.message.split(' Check the name');
  const next = 'To fetch and lock the current commit, run: heimdex-downloader update';
  return new DownloaderError(
    'NOT_FOUND',
    `${who} the commit ${commit} of ${repository}, which is gone: ${what} ${next}`,
    { cause: error },
  );
}

/** The error for a file that a repository does not have and a model needs. */
export function fileUnknown(
  { configured }: Pick<ModelState, 'configured'>,
  source: HubSource,
  commit: string,
  file: Pick<ModelFile, 'path'>,
): DownloaderError {
  const advice = posix.basename(file.path) === 'tokenizer.json' ? ` ${tokenizerAdvice(source.repository)}.` : '';
  return new DownloaderError(
    'NOT_FOUND',
    `${source.repository} has no ${file.path} at ${commit.slice(0, 8)}, which the ${configured.role} model ${configured.id} (${configured.variable}=${configured.name}, ${configured.variant}) needs.${advice} Choose another variant or model with ${configured.variable}, then run: heimdex-downloader plan`,
  );
}
