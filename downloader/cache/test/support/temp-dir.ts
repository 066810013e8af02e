import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary directory for every test of the suite it is called in; removed after each. Returns its getter. */
export function useTempDir(): () => string {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-cache-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  return () => dir;
}
