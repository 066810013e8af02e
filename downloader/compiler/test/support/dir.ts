import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CompilerError } from '../../src/index.js';

/** A suite's directory. */
export interface TestDir {
  readonly path: string;
  /** Writes a file in it and gives its path. */
  write(name: string, bytes: Uint8Array | string): string;
  /** An empty directory in it. */
  fresh(): string;
}

/** A directory for a suite's files, none of which may be open afterwards, when it is removed. Call it inside `describe`. */
export function temporaryDir(): TestDir {
  const dir = {
    path: '',
    write(name: string, bytes: Uint8Array | string) {
      const path = join(dir.path, name);
      writeFileSync(path, bytes);
      return path;
    },
    fresh: () => mkdtempSync(join(dir.path, 'fresh-')),
  };
  before(() => {
    dir.path = mkdtempSync(join(tmpdir(), 'heimdex-compiler-'));
  });
  after(() => {
    const open = openFilesIn(dir.path);
    rmSync(dir.path, { recursive: true, force: true });
    expect(open, 'files that were not closed').to.deep.equal([]);
  });
  return dir;
}

/** Files of a directory that this process has open; none where the system does not list them. */
function openFilesIn(dir: string): string[] {
  const descriptors = '/proc/self/fd';
  if (!existsSync(descriptors)) return [];
  return readdirSync(descriptors).flatMap((descriptor) => {
    try {
      const path = readlinkSync(join(descriptors, descriptor));
      return path.startsWith(dir) ? [path] : [];
    } catch {
      return []; // The one that listed the others.
    }
  });
}

/** The CompilerError that something ends with. */
export async function refusal(work: () => unknown): Promise<CompilerError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof CompilerError) return error;
    throw error;
  }
  throw new Error('expected a CompilerError, got none');
}
