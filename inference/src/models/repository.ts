import { stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/**
 * Where a repository keeps a file that belongs to `weights`: beside it, in a directory above it (weights mostly lie in `onnx/`), at
 * last in the repository's root. Undefined where it has none.
 */
export async function findBeside(dir: string, weights: string, name: string): Promise<string | undefined> {
  let place = dirname(weights);
  while (place !== dir && !relative(dir, place).startsWith('..') && place !== dirname(place)) {
    if (await isFile(join(place, name))) return join(place, name);
    place = dirname(place);
  }
  const last = join(dir, name);
  return (await isFile(last)) ? last : undefined;
}

async function isFile(path: string): Promise<boolean> {
  try {
    // A pipe or a device in a file's place would hold up whoever opens it.
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
