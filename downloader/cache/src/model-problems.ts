/** Errors about a model on the volume, each with the next step for the user. */

import { codeOf, messageOf } from '@heimdex/common';
import { CacheError, type CacheErrorCode } from './errors.js';
import type { FoundFile, FoundModel } from './found-model.js';
import { hashOfBlobId } from './layout.js';
import type { ConfiguredModel } from './manifest-types.js';

/** The command that repairs a volume, as in the messages. */
export const DOWNLOAD_COMMAND = 'heimdex-downloader download';

/** The command that finds and repairs wrong and unreadable bytes: without the option, names and sizes that match are enough. */
const CHECK_COMMAND = `${DOWNLOAD_COMMAND} --check`;

/** Checks a file's name and size: empty, another size than expected, another blob than pinned. */
export function quickProblem(model: ConfiguredModel | FoundModel, found: FoundFile): CacheError | undefined {
  const { sizeBytes, expectedSizeBytes, hash, blobId } = found;
  if (sizeBytes === 0 && expectedSizeBytes !== 0) {
    return fileProblem(model, found, 'FILE_EMPTY', 'it is empty');
  }
  if (expectedSizeBytes !== undefined && sizeBytes !== expectedSizeBytes) {
    const sizes = `it has ${sizeBytes} bytes, expected ${expectedSizeBytes}`;
    return fileProblem(model, found, 'FILE_SIZE_WRONG', sizes);
  }
  const named = blobId === undefined ? undefined : hashOfBlobId(blobId);
  if (named !== undefined && hash !== undefined && named.type === hash.type && named.value !== hash.value) {
    const hashes = `its ${named.type} is ${named.value}, expected ${hash.value}`;
    return fileProblem(model, found, 'FILE_HASH_WRONG', hashes);
  }
  return undefined;
}

/** Creates an error about one file of a model: role, file, inspected path, variable to change, command that repairs it. */
export function fileProblem(
  model: Pick<ConfiguredModel, 'role' | 'id' | 'variable' | 'name'>,
  { path: file, absolutePath: path }: Pick<FoundFile, 'path' | 'absolutePath'>,
  code: CacheErrorCode,
  what: string,
  cause?: unknown,
): CacheError {
  const { role, id, variable, name } = model;
  const mode = permissionAdvice(cause);
  const needsRead = code === 'FILE_HASH_WRONG' || code === 'FILE_UNREADABLE';
  const command = mode !== '' ? undefined : needsRead ? CHECK_COMMAND : DOWNLOAD_COMMAND;
  const advice = command === undefined ? mode : `. Run ${command}, or change ${variable}`;
  return new CacheError(
    code,
    `The ${role} model ${id} (${variable}=${name}) cannot be used: its file ${file} at ${path}: ${what}${advice}`,
    { role, model: id, file, path, variable, command, cause },
  );
}

const READABLE_ADVICE = "Let this program's user read the volume (directories 755, files 644)";

/** What a volume without the links of a hub cache needs. */
export const LINKS_ADVICE =
  "A hub cache consists of relative symbolic links, but the volume's file system has no symbolic links, or its mount refuses them: use another one, or mount it with them (CIFS: mfsymlinks; sshfs: no_contain_symlinks)";

/** Whether the mount refuses to read a link: no owner and no mode does. */
export function isLinkRefused(cause: unknown): boolean {
  return codeOf(cause) === 'EPERM' && /^(readlink|realpath)$/.test((cause as NodeJS.ErrnoException).syscall ?? '');
}

/** What to do about a file that is there and that this user may not read, as the end of a message; empty for other errors. */
export function permissionAdvice(cause: unknown): string {
  if (isLinkRefused(cause)) return `. ${LINKS_ADVICE}`;
  return ['EACCES', 'EPERM'].includes(codeOf(cause) ?? '') ? `. ${READABLE_ADVICE}` : '';
}

/** Creates the error for a model that is missing or not at its locked commit. */
export function modelProblem(
  model: ConfiguredModel,
  where: { readonly cacheDir: string; readonly cacheDirVariable: string },
  lockedRevision: string | undefined,
  path: string,
): CacheError {
  const { role, id, variable, name } = model;
  const locked = lockedRevision === undefined ? '' : ` at ${lockedRevision}, as the lock file requires,`;
  return new CacheError(
    'MODEL_MISSING',
    `The ${role} model ${id} (${variable}=${name})${locked} is not in the cache ${where.cacheDir}: there is nothing at ${path}. Run ${DOWNLOAD_COMMAND}, change ${variable}, or point ${where.cacheDirVariable} at the volume that has it${model.suggestion ?? ''}`,
    { role, model: id, path, variable, command: DOWNLOAD_COMMAND },
  );
}

/** Creates the error for a model whose directories are unreadable: downloading it again would not help. */
export function unreadableProblem(model: ConfiguredModel, path: string, cause: unknown): CacheError {
  const { role, id, variable, name } = model;
  return new CacheError(
    'CACHE_UNREADABLE',
    `The ${role} model ${id} (${variable}=${name}) cannot be looked up at ${path}: ${messageOf(cause)}${permissionAdvice(cause)}`,
    { role, model: id, path, variable, cause },
  );
}
