import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompilerError } from '../../src/index.js';

/** A suite's folder. */
export interface TestFolder {
  readonly path: string;
  /** Writes a file in it and gives its path. */
  write(name: string, bytes: Uint8Array | string): string;
  /** An empty folder in it. */
  fresh(): string;
}

/** A folder for a suite's files, removed afterwards. Call it inside `describe`. */
export function temporaryFolder(): TestFolder {
  const folder = {
    path: '',
    write(name: string, bytes: Uint8Array | string) {
      const path = join(folder.path, name);
      writeFileSync(path, bytes);
      return path;
    },
    fresh: () => mkdtempSync(join(folder.path, 'fresh-')),
  };
  before(() => {
    folder.path = mkdtempSync(join(tmpdir(), 'heimdex-compiler-'));
  });
  after(() => rmSync(folder.path, { recursive: true, force: true }));
  return folder;
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
