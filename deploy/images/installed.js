/** The packages that are installed in a directory: shared by prune.js and sbom.js. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** Returns the paths of the packages in a node_modules directory and in nested ones. */
export function packagesIn(nodeModules) {
  if (!existsSync(nodeModules)) return [];
  const names = readdirSync(nodeModules).filter((name) => !name.startsWith('.'));
  const scoped = names.flatMap((name) =>
    name.startsWith('@') ? readdirSync(join(nodeModules, name)).map((own) => join(name, own)) : [name],
  );
  return scoped.flatMap((name) => {
    const path = join(nodeModules, name);
    return [path, ...packagesIn(join(path, 'node_modules'))];
  });
}
