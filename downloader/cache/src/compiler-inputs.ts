/** The small files that the compiler reads in addition to the checkpoint. */
import { posix } from 'node:path';
import { byPath } from '@heimdex/common';
import type { CompiledInput } from './compiled-types.js';
import { hashFile } from './content-hash.js';
import type { FileInspection } from './found-model.js';
import { DENSE_DIR, POOLING_DIR } from './sentence-modules.js';

/** tokenizer.json is not among them: it only chooses tokens for the self-check. */
const INPUT_NAMES = ['config.json', 'modules.json', `${POOLING_DIR}/config.json`, `${DENSE_DIR}/config.json`];

/** Returns their paths in a repository; `dir` is the model's directory in it. */
export function compilerInputPaths(dir: string): ReadonlySet<string> {
  return new Set(INPUT_NAMES.map((name) => posix.join(dir, name)));
}

/**
 * Returns those of a model's files, with their hashes, sorted by path; undefined if one is missing or wrong, which is a problem
 * of its own. A file whose sha256 is not known from the lock file or a blob's name is read.
 */
export async function compilerInputs(
  dir: string,
  files: readonly FileInspection[],
  signal: AbortSignal | undefined,
): Promise<readonly CompiledInput[] | undefined> {
  const paths = compilerInputPaths(dir);
  const inputs: CompiledInput[] = [];
  for (const { found, problem } of files.filter(({ file }) => paths.has(file.path))) {
    if (problem !== undefined) return undefined;
    if (found === undefined) continue;
    const { path, blobPath, hash } = found;
    const sha256 = hash?.type === 'sha256' ? hash.value : await hashFile('sha256', blobPath, signal);
    inputs.push({ path, sha256 });
  }
  return byPath(inputs);
}
