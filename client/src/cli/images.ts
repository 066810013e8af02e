import { opendir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { usageError } from './cli-error.js';

/** What a directory's images are recognised by. */
const IMAGE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff']);

/**
 * The images that paths stand for: a file for itself, a directory for the images in it and below it, by name, hidden ones
 * left out.
 *
 * @throws CliError when a path does not exist, or there is no image
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    if (await isDir(path)) found.push(...(await imagesIn(path)));
    else found.push(path);
  }
  if (found.length === 0) throw usageError(`Expected images, found none in ${paths.join(', ')}`);
  return found;
}

/** The paths of a directory's images, sorted. */
export async function imagesIn(dir: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of await opendir(dir)) {
    if (entry.name.startsWith('.')) continue;
    const path = join(dir, entry.name);
    if (entry.isDirectory()) found.push(...(await imagesIn(path)));
    else if (IMAGE_EXTENSIONS.has(extname(entry.name).toLowerCase())) found.push(path);
  }
  return found.sort();
}

async function isDir(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw usageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
