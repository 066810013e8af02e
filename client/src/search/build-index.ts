import { stat } from 'node:fs/promises';
import { dirname, relative, resolve, sep } from 'node:path';
import { type Model, sameModel } from '../answers.js';
import type { IndexedPicture, PictureIndex } from './picture-index.js';

/** What an index needs: which pictures keep their vector, and which must be sent to the model. */
export interface IndexPlan {
  /** Pictures with the vector they have in the index as it stands. */
  readonly kept: readonly { readonly picture: IndexedPicture; readonly vector: Float32Array }[];
  /** Pictures that are new or have changed, by their paths as given. */
  readonly missing: readonly { readonly path: string; readonly picture: IndexedPicture }[];
  /** How many of the index as it stands are not among the pictures any more. */
  readonly gone: number;
  /** True when the index as it stands is another model's and is of no use. */
  readonly otherModel: boolean;
}

/**
 * Compares pictures with an index.
 *
 * @param files paths of the pictures, each of which exists
 * @param indexPath where the index lies or will lie
 * @param model the model that will embed
 */
export async function planIndex(
  files: readonly string[],
  indexPath: string,
  existing: PictureIndex | undefined,
  model: Model,
): Promise<IndexPlan> {
  const otherModel = existing !== undefined && !sameModel(existing.model, model);
  const usable = otherModel ? undefined : existing;
  const known = new Map(usable?.pictures.map((picture, place) => [picture.path, { picture, place }]));
  const plan = { kept: [] as IndexPlan['kept'][number][], missing: [] as IndexPlan['missing'][number][] };
  const seen = new Set<string>();
  for (const path of files) {
    const picture = await describe(path, indexPath);
    if (seen.has(picture.path)) continue;
    seen.add(picture.path);
    const old = known.get(picture.path);
    const same = old?.picture.sizeBytes === picture.sizeBytes && old.picture.modifiedMs === picture.modifiedMs;
    if (usable === undefined || old === undefined || !same) plan.missing.push({ path, picture });
    else plan.kept.push({ picture, vector: vectorAt(usable, old.place) });
  }
  const gone = [...known.keys()].filter((path) => !seen.has(path)).length;
  return { ...plan, gone, otherModel };
}

/** Puts an index together, in the order of the pictures' paths. */
export function assembleIndex(
  model: Model,
  dimensions: number,
  entries: readonly { readonly picture: IndexedPicture; readonly vector: Float32Array }[],
): PictureIndex {
  const sorted = [...entries].sort((one, other) => (one.picture.path < other.picture.path ? -1 : 1));
  const vectors = new Float32Array(sorted.length * dimensions);
  for (const [place, { vector }] of sorted.entries()) vectors.set(vector, place * dimensions);
  return { model, dimensions, pictures: sorted.map(({ picture }) => picture), vectors };
}

function vectorAt({ vectors, dimensions }: PictureIndex, place: number): Float32Array {
  return vectors.subarray(place * dimensions, (place + 1) * dimensions);
}

async function describe(path: string, indexPath: string): Promise<IndexedPicture> {
  const { size, mtimeMs } = await stat(path);
  const place = relative(dirname(resolve(indexPath)), resolve(path));
  return { path: place.split(sep).join('/'), sizeBytes: size, modifiedMs: Math.round(mtimeMs) };
}
