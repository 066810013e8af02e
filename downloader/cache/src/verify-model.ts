/** Proves what lies in the volume: by names and sizes, or by every byte. Without network. */
import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { hashFile } from './content-hash.js';
import type { CacheError } from './errors.js';
import type { FoundFile, FoundModel } from './found-model.js';
import { fileProblem, quickProblem } from './inspect-model.js';

export interface VerifyOptions {
  /** `quick`: presence, size and identity. `full`: every byte is read and its hash compared. */
  readonly level: 'quick' | 'full';
  /** Files read at the same time. Default: one a core. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
  /** Told of each file once it is checked. */
  readonly onFile?: (file: FoundFile, problem: CacheError | undefined) => void;
}

export interface VerifyResult {
  readonly model: FoundModel;
  /** Files looked at. */
  readonly fileCount: number;
  /** Bytes read and hashed; 0 for `quick`. */
  readonly bytesRead: number;
  /** Files nothing says a hash of: only their size could be checked. */
  readonly unhashed: readonly string[];
  /** Empty when all is well. */
  readonly problems: readonly CacheError[];
}

/** Checks a model's files. What is wrong stands in `problems`; throws only when the signal is aborted. */
export async function verifyModel(model: FoundModel, options: VerifyOptions): Promise<VerifyResult> {
  const problems: CacheError[] = [];
  const unhashed: string[] = [];
  let bytesRead = 0;
  const queue = [...model.files];
  const lanes = Math.max(1, Math.min(options.concurrency ?? availableParallelism(), queue.length));
  const lane = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      options.signal?.throwIfAborted();
      let problem = await quickCheck(model, file);
      if (problem === undefined && file.hash === undefined) unhashed.push(file.path);
      if (problem === undefined && options.level === 'full' && file.hash !== undefined) {
        problem = await fullCheck(model, file, options.signal);
        bytesRead += file.sizeBytes;
      }
      if (problem !== undefined) problems.push(problem);
      options.onFile?.(file, problem);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return { model, fileCount: model.files.length, bytesRead, unhashed, problems };
}

async function quickCheck(model: FoundModel, file: FoundFile): Promise<CacheError | undefined> {
  try {
    const { size } = await stat(file.absolutePath);
    return quickProblem(model, { ...file, sizeBytes: size });
  } catch (cause) {
    return fileProblem(model, file.path, file.absolutePath, 'FILE_MISSING', messageOf(cause), cause);
  }
}

async function fullCheck(
  model: FoundModel,
  file: FoundFile,
  signal: AbortSignal | undefined,
): Promise<CacheError | undefined> {
  if (file.hash === undefined) return undefined;
  let actual: string;
  try {
    actual = await hashFile(file.hash.type, file.blobPath, signal);
  } catch (cause) {
    signal?.throwIfAborted();
    return fileProblem(model, file.path, file.absolutePath, 'FILE_UNREADABLE', messageOf(cause), cause);
  }
  if (actual === file.hash.value) return undefined;
  const what = `its ${file.hash.type} is ${actual}, expected ${file.hash.value}`;
  return fileProblem(model, file.path, file.absolutePath, 'FILE_HASH_WRONG', what);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
