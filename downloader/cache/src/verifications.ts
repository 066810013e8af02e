/**
 * Records of verified files: size and modification time at verification. As long as both are unchanged, the bytes need not be
 * read again. The records belong to one machine's volume, so they are not in the lock file; they are stored among the locks,
 * which huggingface_hub skips when it scans the cache. They are optional.
 */
import { join, relative, sep } from 'node:path';
import { JsonCursor } from './json.js';
import { type ContentHash, hashOfBlobId } from './layout.js';
import { readText } from './read-text.js';
import { replaceFile } from './replace-file.js';

/** One verified file. */
export interface Verification {
  readonly sizeBytes: number;
  /** Modification time in ms since 1970, from `stat`. */
  readonly mtimeMs: number;
  readonly hash: ContentHash;
}

/** Verifications by the file's path relative to the cache, with `/`. */
export type Verifications = ReadonlyMap<string, Verification>;

const VERIFICATIONS_FORMAT_VERSION = 1;

/** Returns the path of a cache's verification records. */
export function verificationsPath(cacheDir: string): string {
  return join(cacheDir, '.locks', 'heimdex-proofs.json');
}

/** Returns the key of a file: its real path relative to the cache's real path. */
export function verificationKey(cacheDir: string, blobPath: string): string {
  return relative(cacheDir, blobPath).split(sep).join('/');
}

/** Reads the records; empty if there are none or they are unreadable. */
export async function readVerifications(cacheDir: string): Promise<Verifications> {
  try {
    const root = new JsonCursor(JSON.parse(await readText(verificationsPath(cacheDir))), 'verifications');
    if (root.get('formatVersion').count() !== VERIFICATIONS_FORMAT_VERSION) return new Map();
    return new Map(
      root
        .get('files')
        .entries()
        .map(([key, cursor]) => [key, parseVerification(cursor)]),
    );
  } catch {
    return new Map();
  }
}

/** Merges records into the file atomically. */
export async function writeVerifications(cacheDir: string, verifications: Verifications): Promise<void> {
  const all = new Map([...(await readVerifications(cacheDir)), ...verifications]);
  const files = Object.fromEntries(
    [...all]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { sizeBytes, mtimeMs, hash }]) => [key, { sizeBytes, mtimeMs, hash: hash.value }]),
  );
  const content = { formatVersion: VERIFICATIONS_FORMAT_VERSION, files };
  await replaceFile(verificationsPath(cacheDir), `${JSON.stringify(content, null, 1)}\n`);
}

function parseVerification(cursor: JsonCursor): Verification {
  const hash = hashOfBlobId(cursor.get('hash').text());
  if (hash === undefined) return cursor.get('hash').fail('40 or 64 hexadecimal digits');
  return { sizeBytes: cursor.get('sizeBytes').count(), mtimeMs: cursor.get('mtimeMs').number(), hash };
}
