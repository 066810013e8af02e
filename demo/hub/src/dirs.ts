/** Reads repositories from directories on disk, `<directory>/<org>/<name>/...`. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubFile, HubRepository } from './repository.js';

/** Returns all repositories below a directory. Files outside repositories are ignored. */
export async function repositoriesIn(dir: string): Promise<HubRepository[]> {
  const repositories: HubRepository[] = [];
  for (const org of await dirsIn(dir)) {
    for (const name of await dirsIn(join(dir, org))) {
      repositories.push({ name: `${org}/${name}`, files: await filesIn(join(dir, org, name)) });
    }
  }
  return repositories;
}

/**
 * Returns all files below a directory as files of one repository, without the `.git` of a clone. Follows symbolic links to files.
 * Throws Error for a pointer of Git LFS, whose weights were not fetched.
 */
export async function filesIn(dir: string): Promise<HubFile[]> {
  const files: HubFile[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const item of await readdir(join(dir, below), { withFileTypes: true })) {
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (path === '.git') continue;
      if (item.isDirectory()) await walk(path);
      else if (item.isFile() || item.isSymbolicLink()) {
        const file = join(dir, path);
        if (await isLfsPointer(file)) throw new Error(`${file} is a pointer of Git LFS. In ${dir}, run: git lfs pull`);
        files.push({ path, file });
      }
    }
  };
  await walk('');
  return files;
}

/** A pointer is a text of three lines. */
async function isLfsPointer(file: string): Promise<boolean> {
  if ((await stat(file)).size > 1000) return false;
  return (await readFile(file, 'latin1')).startsWith('version https://git-lfs.github.com/spec/');
}

async function dirsIn(dir: string): Promise<string[]> {
  const items = await readdir(dir, { withFileTypes: true });
  return items.filter((item) => item.isDirectory() && !item.name.startsWith('.')).map((item) => item.name);
}
