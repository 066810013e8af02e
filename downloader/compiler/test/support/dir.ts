import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompilerError } from '../../src/index.js';

/** A suite's directory. */
export interface TestDir {
  readonly path: string;
  /** Writes a file in it and gives its path. */
  write(name: string, bytes: Uint8Array | string): string;
  /** An empty directory in it. */
  fresh(): string;
}

/** A directory for a suite's files, removed afterwards. Call it inside `describe`. */
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
  after(() => rmSync(dir.path, { recursive: true, force: true }));
  return dir;
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
