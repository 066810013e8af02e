/** Repositories from folders on disk: `<folder>/<org>/<name>/...`, as a hub would show them. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubFile, HubRepository } from './repository.js';

/** All repositories below a folder. Files right in it or in an organisation's folder are passed over. */
export async function repositoriesIn(folder: string): Promise<HubRepository[]> {
  const repositories: HubRepository[] = [];
  for (const org of await foldersIn(folder)) {
    for (const name of await foldersIn(join(folder, org))) {
      repositories.push({ name: `${org}/${name}`, files: await filesIn(join(folder, org, name)) });
    }
  }
  return repositories;
}

/** All files below a folder, as files of one repository. Symbolic links to files are followed. */
export async function filesIn(folder: string): Promise<HubFile[]> {
  const files: HubFile[] = [];
  const walk = async (below: string): Promise<void> => {
    for (const item of await readdir(join(folder, below), { withFileTypes: true })) {
      const path = below === '' ? item.name : `${below}/${item.name}`;
      if (item.isDirectory()) await walk(path);
      else if (item.isFile() || item.isSymbolicLink()) files.push({ path, file: join(folder, path) });
    }
  };
  await walk('');
  return files;
}

async function foldersIn(folder: string): Promise<string[]> {
  const items = await readdir(folder, { withFileTypes: true });
  return items.filter((item) => item.isDirectory() && !item.name.startsWith('.')).map((item) => item.name);
}
