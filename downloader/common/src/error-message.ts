import { constants } from 'node:os';

/** A system error that Node.js has no name for, such as that of a quota which is used up (EDQUOT) and of a lost file of NFS (ESTALE). */
const UNNAMED = /(Unknown system error -(\d+))(: \1)?/;

function named(text: string): string {
  return text.replace(UNNAMED, (_, unnamed: string, number: string) => {
    const [name] = Object.entries(constants.errno).find(([, value]) => value === Number(number)) ?? [];
    return name ?? unnamed;
  });
}

/** Returns the message of any thrown value. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? named(cause.message) : String(cause);
}

/** Returns the system's error code, such as `ENOENT`. */
export function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? named(cause.code) : undefined;
}

/** Returns whether an error means that a path does not exist. */
export function isNotFound(cause: unknown): boolean {
  const code = codeOf(cause);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** Returns whether an error means that a volume, a quota or a file has no room for more bytes or inodes. */
export function isOutOfSpace(cause: unknown): boolean {
  return /^(ENOSPC|EDQUOT|EFBIG)$/.test(codeOf(cause) ?? '');
}

/** Rethrows a system error with the path of its file, which Node.js leaves out where it reads an open one (EIO, ESTALE). */
export function throwNamed(path: string, error: unknown): never {
  const isSystem = error instanceof Error && codeOf(error) !== undefined;
  if (isSystem && !('path' in error)) Object.assign(error, { path, message: `${error.message} '${path}'` });
  throw error;
}
