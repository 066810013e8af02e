import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { makeDir } from '@heimdex/common';
import { usageError } from './cli-error.js';

/** Checks before any work that a file can be created at `path`. Throws CliError with the reason. */
export async function expectWritable(path: string): Promise<void> {
  // As of a variable of a shell that is not set. Its directory would be the current one.
  if (path === '') throw usageError('Expected the name of a file to write, got an empty one');
  const dir = dirname(path);
  try {
    if (!(await stat(dir)).isDirectory()) throw new Error(`${dir} is not a directory`);
    await access(dir, constants.W_OK);
    if (await isDir(path)) throw new Error('it is a directory');
  } catch (cause) {
    throw usageError(`${path} cannot be written: ${errorMessage(cause, dir)}`);
  }
}

/** Creates a directory unless it exists, and checks that files can be created in it. Throws CliError with the reason. */
export async function createDir(path: string): Promise<void> {
  try {
    await makeDir(path);
  } catch (cause) {
    throw usageError(`${path} cannot be created: ${errorMessage(cause, path)}`);
  }
  await access(path, constants.W_OK).catch((cause: unknown) => {
    throw usageError(`${path} cannot be written: ${errorMessage(cause, path)}`);
  });
}

async function isDir(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

function errorMessage(cause: unknown, dir: string): string {
  if (!(cause instanceof Error)) return String(cause);
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return `there is no directory ${dir}`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `${dir} is not writable`;
    case 'EEXIST':
    case 'ENOTDIR':
      return 'a file of that name exists';
    default:
      return cause.message;
  }
}
