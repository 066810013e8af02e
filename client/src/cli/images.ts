import { opendir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { usageError } from './cli-error.js';
import { unreadablePath } from './read-file.js';

/** Extensions of image files in a directory: of all formats that the server accepts (`image_formats`). */
const IMAGE_EXTENSIONS = new Set(
  'jpg jpeg jfif png webp gif avif heic heif hif tif tiff bmp jxl'.split(' ').map((extension) => `.${extension}`),
);

/**
 * Expands paths to image files. A directory is searched recursively by file extension, links included; hidden files are skipped.
 * Throws CliError if a path does not exist, or there is no image. With `mayBeGone` a path that does not exist but has the name
 * of an image is returned as one: it fails when it is read, and not the files that were named with it, as by xargs.
 */
export async function findImages(paths: readonly string[], mayBeGone = paths.length > 1): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) {
    const dir = await isDir(path).catch((cause) =>
      mayBeGone && hasImageName(path) ? false : unreadablePath(path)(cause),
    );
    // Not as the arguments of one call: a directory may have more than the stack holds.
    for (const image of dir ? await imagesIn(path) : [path]) found.push(image);
  }
  if (found.length === 0) throw usageError(`Expected images, found none in ${paths.join(', ')}`);
  return found;
}

/** Returns the paths of the images below a directory, sorted. */
async function imagesIn(dir: string): Promise<string[]> {
  const found: string[] = [];
  for await (const path of imagesBelow(dir)) found.push(path);
  return found.sort();
}

/** @param above the real paths of the directories on the way, to which a link may lead back */
async function* imagesBelow(dir: string, above: readonly string[] = []): AsyncGenerator<string, void, void> {
  const real = await realpath(dir).catch(unreadablePath(dir));
  if (above.includes(real)) return;
  for await (const entry of await opendir(dir).catch(unreadablePath(dir))) {
    if (entry.name.startsWith('.')) continue;
    const path = join(dir, entry.name);
    const found = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (found?.isDirectory()) yield* imagesBelow(path, [...above, real]);
    // A named pipe would be waited for. Of a link to nowhere, reading it says why.
    else if (found?.isFile() !== false && hasImageName(path)) yield path;
  }
}

async function isDir(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}

function hasImageName(path: string): boolean {
  return IMAGE_EXTENSIONS.has(extname(path).toLowerCase());
}
