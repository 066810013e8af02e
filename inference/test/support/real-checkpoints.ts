import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from 'mocha';

/** Python packages with trained weights in them, unpacked; `.ci/peers` installs them. */
const DIR = process.env.HEIMDEX_TEST_CHECKPOINTS ?? '';

export function inCheckpoints(path: string): string {
  return join(DIR, path);
}

/** Skips a test, with a line that says why, where the weights are not there. */
export function needsCheckpoint(test: Context, path: string): void {
  if (DIR !== '' && existsSync(inCheckpoints(path))) return;
  console.log(`      skipped: no trained weights (HEIMDEX_TEST_CHECKPOINTS names a directory with ${path})`);
  test.skip();
}
