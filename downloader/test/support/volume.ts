import { cp, mkdir, mkdtemp, open, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

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

/** Does something as another user, who may enter a directory and read the program; skips the test if root does not run it. */
export async function asAnotherUser(test: Mocha.Context, path: string, work: () => Promise<unknown>): Promise<void> {
  if (process.geteuid?.() !== 0) {
    console.log('      Not root: nothing can be done as another user.');
    return test.skip();
  }
  process.seteuid?.(65_534);
  try {
    const reached = await Promise.allSettled([path, fileURLToPath(import.meta.url)].map((one) => stat(one)));
    if (reached.some(({ status }) => status === 'rejected')) {
      console.log('      Another user cannot enter the directories above the temporary one or the program.');
      return test.skip();
    }
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

/** Waits until another process has made a condition true. */
export async function whenTrue(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(10);
}

/** Leaves a repository as huggingface_hub does where links are not supported: files in the snapshot, no blobs, no list of files. */
export async function withoutLinks(snapshot: string): Promise<void> {
  const repository = dirname(dirname(snapshot));
  const copy = join(repository, 'copy');
  await cp(snapshot, copy, { recursive: true, dereference: true });
  for (const name of ['blobs', 'trees', 'snapshots'])
    await rm(join(repository, name), { recursive: true, force: true });
  await mkdir(dirname(snapshot));
  await rename(copy, snapshot);
}

/** Turns one bit in the middle of a file, under the same time of change. */
export async function flip(path: string): Promise<void> {
  const { size, atime, mtime } = await stat(path);
  const file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, Math.floor(size / 2));
  byte.writeUInt8(byte.readUInt8() ^ 1);
  await file.write(byte, 0, 1, Math.floor(size / 2));
  await file.utimes(atime, mtime);
  await file.close();
}
