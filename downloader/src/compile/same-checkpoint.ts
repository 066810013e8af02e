import {
  type ConfiguredModel,
  type ContentHash,
  chooseCheckpoint,
  compilerInputPaths,
  hashOfEntry,
  type Tree,
} from '@heimdex/cache';
import type { ModelState } from '../cache-state.js';

/**
 * Returns whether the compiled form on the volume is also that of a commit with these files: the checkpoint, which is no longer on the
 * volume, and the small files that the compiler reads are the same by their hashes.
 */
export function isCompiledFrom(
  { inspection, damaged }: ModelState,
  { dir, compile }: ConfiguredModel,
  tree: Tree,
  offered: readonly { readonly file: { readonly path: string }; readonly hash: ContentHash }[],
): boolean {
  const { found, checkpoint } = inspection;
  if (compile === undefined || checkpoint !== undefined || damaged.size > 0) return false;
  const { precision, inputs, sources = [] } = found?.compiled ?? {};
  if (precision !== compile.precision || inputs === undefined) return false;
  const paths = chooseCheckpoint([...tree.keys()], dir)?.paths ?? [];
  const own = paths.map((path) => ({ path, sha256: hashIn(tree, path) }));
  // The hub knows an index of shards only by git's sha1; what it names is in the shards.
  const isIndex = (path: string) => path.endsWith('.index.json') && paths.includes(path);
  const isOwn =
    own.length === sources.length &&
    areAmong(
      own,
      sources.filter(({ path }) => !isIndex(path)),
    );
  // Those outside of the repository have the same weights.
  if (!isOwn && !areAmong(compile.checkpoints, sources)) return false;
  const isInput = compilerInputPaths(dir);
  const before = found?.files.filter(({ path }) => isInput.has(path)) ?? [];
  const now = offered.filter(({ file }) => isInput.has(file.path));
  return (
    before.length === now.length &&
    now.every(({ file, hash }) => before.some(({ path, blobId }) => path === file.path && blobId === hash.value))
  );
}

type Hashed = readonly { readonly path: string; readonly sha256: string | undefined }[];

function areAmong(offered: Hashed, sources: Hashed): boolean {
  return sources.every(({ path, sha256 }) => offered.some((file) => file.path === path && file.sha256 === sha256));
}

function hashIn(tree: Tree, path: string): string | undefined {
  const entry = tree.get(path);
  return entry && hashOfEntry(entry).value;
}
