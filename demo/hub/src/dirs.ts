/** Reads repositories from directories on disk, `<directory>/<org>/<name>/...`. */
import { readdir } from 'node:fs/promises';
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

/** Returns all files below a directory as files of one repository. Follows symbolic links to files. */
export async function filesIn(dir: string): Promise<HubFile[]> {
  const files: HubFile[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const item of await readdir(join(dir, below), { withFileTypes: true })) {
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory()) await walk(path);
      else if (item.isFile() || item.isSymbolicLink()) files.push({ path, file: join(dir, path) });
    }
  };
  await walk('');
  return files;
}

async function dirsIn(dir: string): Promise<string[]> {
  const items = await readdir(dir, { withFileTypes: true });
  return items.filter((item) => item.isDirectory() && !item.name.startsWith('.')).map((item) => item.name);
}
