import { constants } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { usageError } from './cli-error.js';

/** Makes sure, before any work, that a file can be made at `path`. @throws CliError that says why not */
export async function expectWritable(path: string): Promise<void> {
  const dir = dirname(path);
  try {
    if (!(await stat(dir)).isDirectory()) throw new Error(`${dir} is not a directory`);
    await access(dir, constants.W_OK);
    if (await isDir(path)) throw new Error('it is a directory');
  } catch (cause) {
    throw usageError(`${path} cannot be written: ${errorMessage(cause, dir)}`);
  }
}

/** Makes a directory where there is none. @throws CliError that says why it cannot */
export async function makeDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw usageError(`${path} cannot be made: ${errorMessage(cause, path)}`);
  }
  await expectWritable(`${path}/x`);
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
      return `${dir} may not be written to`;
    case 'EEXIST':
    case 'ENOTDIR':
      return 'a file is in the way';
    default:
      return cause.message;
  }
}
