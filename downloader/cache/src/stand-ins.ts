/** Files of a model that stand in for another one, such as vocab.txt for tokenizer.json. */
import type { ModelFile } from './manifest-types.js';

/**
 * Resolves which files a repository provides. Where it lacks a file and has all required stand-ins of it, these take its place;
 * otherwise stand-ins are left out, except those that are also listed on their own. `has` tells whether the repository has a file.
 */
export function withStandIns(files: readonly ModelFile[], has: (path: string) => boolean): readonly ModelFile[] {
  const standIns = files.filter(({ insteadOf }) => insteadOf !== undefined);
  const isReplaced = (path: string) =>
    !has(path) && standIns.every((one) => one.insteadOf !== path || !one.required || has(one.path));
  const replaced = new Set(standIns.flatMap(({ insteadOf = '' }) => (isReplaced(insteadOf) ? [insteadOf] : [])));
  const inPlace = standIns.filter(({ insteadOf = '' }) => replaced.has(insteadOf));
  return files.filter((file) =>
    file.insteadOf === undefined
      ? !replaced.has(file.path) && !inPlace.some(({ path }) => path === file.path)
      : inPlace.includes(file),
  );
}
