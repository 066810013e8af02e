import { opendir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { usageError } from './cli-error.js';

/** What a folder's images are recognised by. */
const IMAGE_EXTENSIONS = new Set(['.jpg', '.jpeg', '.png', '.webp', '.gif', '.avif', '.tif', '.tiff']);

/**
 * The images that paths stand for: a file for itself, a folder for the images in it and below it, by name, hidden ones
 * left out.
 *
 * @throws CliError when a path does not exist, or there is no image
 */
export async function findImages(paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    if (await isFolder(path)) found.push(...(await imagesIn(path)));
    else found.push(path);
  }
  if (found.length === 0) throw usageError(`Expected images, found none in ${paths.join(', ')}`);
  return found;
}

/** The paths of a folder's images, sorted. */
export async function imagesIn(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of await opendir(folder)) {
    if (entry.name.startsWith('.')) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await imagesIn(path)));
    else if (IMAGE_EXTENSIONS.has(extname(entry.name).toLowerCase())) found.push(path);
  }
  return found.sort();
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw usageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
