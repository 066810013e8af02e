/**
 * The lock file's records of optimized models (optimized-path.ts): hashes of a form's files as `heimdex-inference prepare` wrote
 * them. Nothing else verifies a form on the volume, so the server uses only recorded ones.
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNotFound, messageOf } from '@heimdex/common';
import { hashFile } from './content-hash.js';
import { CacheError, type CacheErrorCode } from './errors.js';
import { isDirThere } from './if-there.js';
import type { JsonCursor } from './json.js';
import { optimizedDir } from './optimized-path.js';

/** One file of an optimized model. */
export interface OptimizedFile {
  /** Its name in the form's directory. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** An optimized model: the directory `.prepared/<source>/<form>` and its expected files. */
export interface OptimizedRecord {
  /** Identity of its source bytes, from optimizedSources: 64 hexadecimal digits. */
  readonly source: string;
  /** Identity of the program, runtime and CPU: 32 hexadecimal digits. */
  readonly form: string;
  /** Sorted by name. */
  readonly files: readonly OptimizedFile[];
}

/** The command that creates optimized models, as in the messages. */
export const PREPARE_COMMAND = 'heimdex-inference prepare';

/** The directory of a form. */
function optimizedModelDir(cacheDir: string, { source, form }: Pick<OptimizedRecord, 'source' | 'form'>): string {
  return join(optimizedDir(cacheDir), source, form);
}

/** Parses one record of a lock file. Throws a JsonShapeError with the path of the invalid value. */
export function parseOptimizedRecord(cursor: JsonCursor): OptimizedRecord {
  return {
    source: cursor.get('source').sha256(),
    form: cursor.get('form').text(/^[0-9a-f]{32}$/, '32 hexadecimal digits'),
    files: cursor
      .get('files')
      .items()
      .map((file) => ({
        name: file.get('name').text(/^\w[\w.-]{0,63}$/, "a file's name"),
        sizeBytes: file.get('sizeBytes').count(),
        sha256: file.get('sha256').sha256(),
      })),
  };
}

/** Sorts records, one per form: the later of two wins. */
export function sortedOptimized(records: readonly OptimizedRecord[]): OptimizedRecord[] {
  const byKey = new Map(records.map((record) => [`${record.source}/${record.form}`, record]));
  return [...byKey]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { source, form, files }]) => ({
      source,
      form,
      files: [...files]
        .sort((a, b) => (a.name < b.name ? -1 : 1))
        .map(({ name, sizeBytes, sha256 }) => ({ name, sizeBytes, sha256 })),
    }));
}

/** Inspection result of a recorded form. */
export interface OptimizedCheck {
  /** Whether its directory exists: a form may be removed at any time. */
  readonly present: boolean;
  readonly bytesRead: number;
  /** Empty if it matches its record or does not exist. */
  readonly problems: readonly CacheError[];
}

/**
 * Compares a form's files with their record: sizes, and with `full` every byte. Throws only if the signal is aborted.
 */
export async function checkOptimized(
  cacheDir: string,
  record: OptimizedRecord,
  level: 'quick' | 'full',
  signal?: AbortSignal,
): Promise<OptimizedCheck> {
  const dir = optimizedModelDir(cacheDir, record);
  if (!(await isOptimizedThere(cacheDir, record))) return { present: false, bytesRead: 0, problems: [] };
  const problems: CacheError[] = [];
  let bytesRead = 0;
  const wrong = (code: CacheErrorCode, name: string, what: string) => {
    const path = join(dir, name);
    problems.push(
      new CacheError(
        code,
        `The optimized model at ${dir} is not used: its file ${name}: ${what}. Run ${PREPARE_COMMAND}, or remove the directory`,
        { file: name, path, command: PREPARE_COMMAND },
      ),
    );
  };
  for (const { name, sizeBytes, sha256 } of record.files) {
    try {
      const info = await stat(join(dir, name));
      if (!info.isFile()) wrong('FILE_UNREADABLE', name, 'it is not a file');
      else if (info.size !== sizeBytes) {
        wrong('FILE_SIZE_WRONG', name, `it has ${info.size} bytes, expected ${sizeBytes}`);
      } else if (level === 'full') {
        const actual = await hashFile('sha256', join(dir, name), signal);
        bytesRead += info.size;
        if (actual !== sha256) wrong('FILE_HASH_WRONG', name, `its sha256 is ${actual}, expected ${sha256}`);
      }
    } catch (cause) {
      signal?.throwIfAborted();
      wrong(isNotFound(cause) ? 'FILE_MISSING' : 'FILE_UNREADABLE', name, messageOf(cause));
    }
  }
  return { present: true, bytesRead, problems };
}

/** Returns whether a form's directory exists. Rejects if that cannot be checked. */
export async function isOptimizedThere(
  cacheDir: string,
  record: Pick<OptimizedRecord, 'source' | 'form'>,
): Promise<boolean> {
  return isDirThere(optimizedModelDir(cacheDir, record));
}
