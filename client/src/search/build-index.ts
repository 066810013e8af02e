import { stat } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { type Model, sameModel } from '../answers.js';
import type { ImageIndex, IndexedImage } from './image-index.js';

/** An image and its vector. */
export interface IndexEntry {
  readonly image: IndexedImage;
  readonly vector: Float32Array;
}

/** Which images keep their vector, and which must be embedded. */
export interface IndexPlan {
  /** Unchanged images, with their vector in the existing index. */
  readonly kept: readonly IndexEntry[];
  /** New or changed images, with the given path. */
  readonly missing: readonly { readonly path: string; readonly image: IndexedImage }[];
  /** Number of images in the existing index that are no longer present. */
  readonly gone: number;
  /** Whether the existing index was built by another model and cannot be reused. */
  readonly otherModel: boolean;
}

/**
 * Compares images with an existing index.
 *
 * @param files paths of existing images
 * @param indexPath path of the index, to which image paths are relative
 * @param model the model that will embed the images
 */
export async function planIndex(
  files: readonly string[],
  indexPath: string,
  existing: ImageIndex | undefined,
  model: Model,
): Promise<IndexPlan> {
  const otherModel = existing !== undefined && !sameModel(existing.model, model);
  const usable = otherModel ? undefined : existing;
  const known = new Map(usable?.images.map((image, index) => [image.path, { image, index }]));
  const plan = { kept: [] as IndexPlan['kept'][number][], missing: [] as IndexPlan['missing'][number][] };
  const seen = new Set<string>();
  for (const path of files) {
    const image = await describe(path, indexPath);
    if (seen.has(image.path)) continue;
    seen.add(image.path);
    const old = known.get(image.path);
    const same = old?.image.sizeBytes === image.sizeBytes && old.image.modifiedMs === image.modifiedMs;
    if (usable === undefined || old === undefined || !same) plan.missing.push({ path, image });
    else plan.kept.push({ image, vector: vectorAt(usable, old.index) });
  }
  const gone = [...known.keys()].filter((path) => !seen.has(path)).length;
  return { ...plan, gone, otherModel };
}

/** Creates an index, sorted by path. */
export function assembleIndex(model: Model, dimensions: number, entries: readonly IndexEntry[]): ImageIndex {
  const sorted = [...entries].sort((one, other) => (one.image.path < other.image.path ? -1 : 1));
  const vectors = new Float32Array(sorted.length * dimensions);
  for (const [index, { vector }] of sorted.entries()) vectors.set(vector, index * dimensions);
  return { model, dimensions, images: sorted.map(({ image }) => image), vectors };
}

/** Returns the entries of an index, if it is by the same model, for images that `entries` does not have. */
export function otherEntries(
  index: ImageIndex | undefined,
  model: Model,
  entries: readonly IndexEntry[],
): IndexEntry[] {
  if (index === undefined || !sameModel(index.model, model)) return [];
  const paths = new Set(entries.map(({ image }) => image.path));
  return index.images.flatMap((image, at) => (paths.has(image.path) ? [] : [{ image, vector: vectorAt(index, at) }]));
}

function vectorAt({ vectors, dimensions }: ImageIndex, index: number): Float32Array {
  return vectors.subarray(index * dimensions, (index + 1) * dimensions);
}

async function describe(path: string, indexPath: string): Promise<IndexedImage> {
  // Not for a link to nowhere: reading it for its vector tells why.
  const { size, mtimeMs } = await stat(path).catch(() => ({ size: 0, mtimeMs: 0 }));
  const relativePath = relative(dirname(resolve(indexPath)), resolve(path));
  return { path: relativePath.split(sep).join('/'), sizeBytes: size, modifiedMs: Math.round(mtimeMs) };
}
