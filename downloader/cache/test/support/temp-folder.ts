import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A temporary folder for every test of the suite it is called in; removed after each. Returns its getter. */
export function useTempFolder(): () => string {
  let folder = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'heimdex-cache-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  return () => folder;
}
