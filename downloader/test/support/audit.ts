import { lstat, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hashFile, hashOfBlobId } from '@heimdex/cache';

/**
 * Looks for anything that a reader could take for finished and that is not: a blob whose bytes do not give its name, a
 * pointer to nothing, a ref to a snapshot that is not whole. Returns what it found, in words.
 *
 * @param wanted - Paths that a published snapshot must have.
 */
export async function auditRepository(repo: string, wanted: readonly string[]): Promise<string[]> {
  const wrong: string[] = [];
  for (const name of await namesIn(join(repo, 'blobs'))) {
    const hash = hashOfBlobId(name);
    if (hash === undefined) continue;
    const actual = await hashFile(hash.type, join(repo, 'blobs', name));
    if (actual !== hash.value) wrong.push(`blob ${name} has other bytes`);
  }
  for (const commit of await namesIn(join(repo, 'snapshots'))) {
    for (const path of await namesIn(join(repo, 'snapshots', commit), true)) {
      const pointer = join(repo, 'snapshots', commit, path);
      if (!(await lstat(pointer)).isSymbolicLink()) continue;
      if (!(await exists(pointer))) wrong.push(`pointer ${path} leads nowhere`);
    }
  }
  for (const ref of await namesIn(join(repo, 'refs'))) {
    if (ref.endsWith('.tmp')) continue;
    const commit = await readFile(join(repo, 'refs', ref), 'utf8');
    for (const path of wanted) {
      if (!(await exists(join(repo, 'snapshots', commit, path)))) wrong.push(`ref ${ref} without ${path}`);
    }
  }
  return wrong;
}

async function namesIn(dir: string, recursive = false): Promise<string[]> {
  try {
    return await readdir(dir, { recursive });
  } catch {
    return [];
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
