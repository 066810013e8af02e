/**
 * Verifies models on the volume without network: by names, sizes and times, or by every byte.
 */
import { realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { isNotFound, MIB, messageOf, sumSizes } from '@heimdex/common';
import { hashFile } from './content-hash.js';
import type { CacheError } from './errors.js';
import type { FoundFile, FoundModel } from './found-model.js';
import { HashPool } from './hash-pool.js';
import { fileProblem, quickProblem } from './model-problems.js';
import { type Verification, type Verifications, verificationKey } from './verifications.js';

export interface VerifyOptions {
  /**
   * `quick`: presence, size and identity; reads files whose modification time differs from the recorded one.
   * `full`: every byte is read and its hash compared.
   */
  readonly level: 'quick' | 'full';
  /** The cache; needed to read and write verification records. */
  readonly cacheDir?: string;
  /** Earlier verifications; see readVerifications. Used only by `quick`. Default: none. */
  readonly verifications?: Verifications;
  /** Files read concurrently. Default: one per core. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each file is checked. */
  readonly onFile?: (file: FoundFile, problem: CacheError | undefined) => void;
}

export interface VerifyResult {
  readonly model: FoundModel;
  /** Number of checked files. */
  readonly fileCount: number;
  /** Bytes read and hashed. */
  readonly bytesRead: number;
  /** Files without a known hash: only presence and size could be checked. */
  readonly unhashed: readonly string[];
  /** Files of which a hash is known and that nobody has ever read to compare it, as far as is noted. Only with `quick`. */
  readonly unread: readonly string[];
  /** Files verified by reading, for writeVerifications. Empty without `cacheDir`. */
  readonly verifications: Verifications;
  /** Empty if everything matches. */
  readonly problems: readonly CacheError[];
}

/** Verifies one model's files. Problems are returned in `problems`; throws only if the signal is aborted. */
export async function verifyModel(model: FoundModel, options: VerifyOptions): Promise<VerifyResult> {
  const [result] = await verifyModels([model], options);
  if (result === undefined) throw new Error('One model gives one result');
  return result;
}

/** Verifies several models concurrently, shared files only once. Returns one result per model, in order. */
export async function verifyModels(models: readonly FoundModel[], options: VerifyOptions): Promise<VerifyResult[]> {
  const tallies = models.map((model) => new Tally(model));
  const checks: Check[] = [];
  for (const tally of tallies) {
    const { model } = tally;
    for (const file of model.files) {
      const same = checks.find((check) => check.file.absolutePath === file.absolutePath && sameHash(check.file, file));
      if (same === undefined) checks.push({ model, file, tallies: [tally] });
      else same.tallies.push(tally);
    }
  }
  // Largest first, so that no core is left with it at the end.
  checks.sort((a, b) => b.file.sizeBytes - a.file.sizeBytes);
  const root = options.cacheDir === undefined ? undefined : await realDir(options.cacheDir);
  const reader = new Reader(options, checks);
  try {
    await inLanes(checks, reader.lanes, async (check) => {
      options.signal?.throwIfAborted();
      await checkFile(check, root, options, reader);
    });
  } finally {
    await reader.close();
  }
  return tallies.map((tally) => tally.result());
}

interface Check {
  readonly model: FoundModel;
  readonly file: FoundFile;
  readonly tallies: Tally[];
}

/** Counters of one model. */
class Tally {
  readonly problems: CacheError[] = [];
  readonly unhashed: string[] = [];
  readonly unread: string[] = [];
  readonly verifications = new Map<string, Verification>();
  bytesRead = 0;

  constructor(readonly model: FoundModel) {}

  result(): VerifyResult {
    const { model, problems, unhashed, unread, verifications, bytesRead } = this;
    return { model, fileCount: model.files.length, bytesRead, unhashed, unread, verifications, problems };
  }
}

async function checkFile(
  { model, file, tallies }: Check,
  root: string | undefined,
  options: VerifyOptions,
  reader: Reader,
): Promise<void> {
  const { hash } = file;
  const { sizeBytes, mtimeMs, problem: quick } = await lookAgain(model, file);
  const key = root === undefined ? undefined : verificationKey(root, file.blobPath);
  const noted = key === undefined ? undefined : options.verifications?.get(key);
  const isWanted = options.level === 'full' || (noted !== undefined && !holds(noted, file, mtimeMs));
  const compared = quick === undefined && isWanted ? hash : undefined;
  const problem = compared === undefined ? quick : await reader.compare(model, file, compared);
  for (const tally of tallies) {
    if (problem !== undefined) tally.problems.push(problem);
    if (compared !== undefined) tally.bytesRead += sizeBytes;
    if (compared !== undefined && problem === undefined && key !== undefined) {
      tally.verifications.set(key, { sizeBytes, mtimeMs, hash: compared });
    }
    if (quick === undefined && isUnverified(file)) tally.unhashed.push(file.path);
    else if (problem === undefined && !isWanted && noted === undefined) tally.unread.push(file.path);
  }
  options.onFile?.(file, problem);
}

/** Returns whether no hash is known except the one computed from the file. */
export function isUnverified({ hash, selfHashed }: Pick<FoundFile, 'hash' | 'selfHashed'>): boolean {
  return hash === undefined || selfHashed === true;
}

function holds(verification: Verification, file: FoundFile, mtimeMs: number): boolean {
  const { hash } = file;
  // A record with another type of hash (git's sha1 by the blob's name, sha256 by the lock file) is equally valid.
  const other = hash !== undefined && verification.hash.type === hash.type && verification.hash.value !== hash.value;
  return !other && verification.sizeBytes === file.sizeBytes && verification.mtimeMs === mtimeMs;
}

async function realDir(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch {
    return undefined;
  }
}

interface Looked {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly problem: CacheError | undefined;
}

async function lookAgain(model: FoundModel, file: FoundFile): Promise<Looked> {
  try {
    const { size, mtimeMs } = await stat(file.absolutePath);
    return { sizeBytes: size, mtimeMs, problem: quickProblem(model, { ...file, sizeBytes: size }) };
  } catch (cause) {
    const code = isNotFound(cause) ? 'FILE_MISSING' : 'FILE_UNREADABLE';
    const problem = fileProblem(model, file, code, messageOf(cause), cause);
    return { sizeBytes: 0, mtimeMs: 0, problem };
  }
}

/** Below this many bytes in total, threads cost more than they save. */
const POOL_FROM_BYTES = 32 * MIB;

/** Reads and hashes files: in this thread for little work, on worker threads for much. */
class Reader {
  readonly lanes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #pool: HashPool | undefined;

  constructor(options: VerifyOptions, checks: readonly Check[]) {
    this.lanes = Math.max(1, Math.min(options.concurrency ?? availableParallelism(), checks.length));
    this.#signal = options.signal;
    const bytes = sumSizes(checks.map(({ file }) => file));
    this.#pool = options.level === 'full' && bytes >= POOL_FROM_BYTES ? new HashPool(this.lanes) : undefined;
    this.#signal?.addEventListener('abort', this.#abort);
  }

  readonly #abort = (): void => {
    // Pending hashes reject; verifyModels then throws the signal's reason.
    void this.#pool?.close();
  };

  /** Returns the problem of a file with another hash, or an unreadable file. */
  async compare(
    model: FoundModel,
    file: FoundFile,
    { type, value }: NonNullable<FoundFile['hash']>,
  ): Promise<CacheError | undefined> {
    let actual: string;
    try {
      actual = await (this.#pool?.hash({ type, path: file.blobPath }) ?? hashFile(type, file.blobPath, this.#signal));
    } catch (cause) {
      this.#signal?.throwIfAborted();
      return fileProblem(model, file, 'FILE_UNREADABLE', messageOf(cause), cause);
    }
    if (actual === value) return undefined;
    const what = `its ${type} is ${actual}, expected ${value}`;
    return fileProblem(model, file, 'FILE_HASH_WRONG', what);
  }

  async close(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    await this.#pool?.close();
  }
}

async function inLanes<Item>(
  items: readonly Item[],
  lanes: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function sameHash(a: FoundFile, b: FoundFile): boolean {
  return a.hash?.type === b.hash?.type && a.hash?.value === b.hash?.value;
}
