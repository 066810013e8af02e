import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Gives each test of a suite an empty directory and removes it afterwards. Call it inside `describe`. */
export function temporaryDir(): { readonly path: string } {
  const dir = { path: '' };
  beforeEach(async () => {
    dir.path = await mkdtemp(join(tmpdir(), 'heimdex-downloader-'));
  });
  afterEach(async () => {
    await rm(dir.path, { recursive: true, force: true });
  });
  return dir;
}

/** Waits until another process has made a condition true. */
export async function whenTrue(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}
