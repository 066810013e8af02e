import { stat } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { type Model, sameModel } from '../answers.js';
import type { ImageIndex, IndexedImage } from './image-index.js';

/** What an index needs: which images keep their vector, and which must be sent to the model. */
export interface IndexPlan {
  /** Images with the vector they have in the index as it stands. */
  readonly kept: readonly { readonly image: IndexedImage; readonly vector: Float32Array }[];
  /** Images that are new or have changed, by their paths as given. */
  readonly missing: readonly { readonly path: string; readonly image: IndexedImage }[];
  /** How many of the index as it stands are not among the images any more. */
  readonly gone: number;
  /** True when the index as it stands is another model's and is of no use. */
  readonly otherModel: boolean;
}

/**
 * Compares images with an index.
 *
 * @param files paths of the images, each of which exists
 * @param indexPath where the index lies or will lie
 * @param model the model that will embed
 */
export async function planIndex(
  files: readonly string[],
  indexPath: string,
  existing: ImageIndex | undefined,
  model: Model,
): Promise<IndexPlan> {
  const otherModel = existing !== undefined && !sameModel(existing.model, model);
  const usable = otherModel ? undefined : existing;
  const known = new Map(usable?.images.map((image, place) => [image.path, { image, place }]));
  const plan = { kept: [] as IndexPlan['kept'][number][], missing: [] as IndexPlan['missing'][number][] };
  const seen = new Set<string>();
  for (const path of files) {
    const image = await describe(path, indexPath);
    if (seen.has(image.path)) continue;
    seen.add(image.path);
    const old = known.get(image.path);
    const same = old?.image.sizeBytes === image.sizeBytes && old.image.modifiedMs === image.modifiedMs;
    if (usable === undefined || old === undefined || !same) plan.missing.push({ path, image });
    else plan.kept.push({ image, vector: vectorAt(usable, old.place) });
  }
  const gone = [...known.keys()].filter((path) => !seen.has(path)).length;
  return { ...plan, gone, otherModel };
}

/** Puts an index together, in the order of the images' paths. */
export function assembleIndex(
  model: Model,
  dimensions: number,
  entries: readonly { readonly image: IndexedImage; readonly vector: Float32Array }[],
): ImageIndex {
  const sorted = [...entries].sort((one, other) => (one.image.path < other.image.path ? -1 : 1));
  const vectors = new Float32Array(sorted.length * dimensions);
  for (const [place, { vector }] of sorted.entries()) vectors.set(vector, place * dimensions);
  return { model, dimensions, images: sorted.map(({ image }) => image), vectors };
}

function vectorAt({ vectors, dimensions }: ImageIndex, place: number): Float32Array {
  return vectors.subarray(place * dimensions, (place + 1) * dimensions);
}

async function describe(path: string, indexPath: string): Promise<IndexedImage> {
  const { size, mtimeMs } = await stat(path);
  const place = relative(dirname(resolve(indexPath)), resolve(path));
  return { path: place.split(sep).join('/'), sizeBytes: size, modifiedMs: Math.round(mtimeMs) };
}
