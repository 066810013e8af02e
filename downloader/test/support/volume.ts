import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Gives each test of a suite an empty folder and removes it afterwards. Call it inside `describe`. */
export function temporaryFolder(): { readonly path: string } {
  const folder = { path: '' };
  beforeEach(async () => {
    folder.path = await mkdtemp(join(tmpdir(), 'heimdex-downloader-'));
  });
  afterEach(async () => {
    await rm(folder.path, { recursive: true, force: true });
  });
  return folder;
}

/** Waits until something holds that another process brings about. */
export async function whenTrue(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}
