/** Finds the checkpoint among a repository's files. Pure. */

import { posix } from 'node:path';
import { DENSE_DIR } from './sentence-modules.js';

/** The files of one checkpoint. */
export interface CheckpointFiles {
  /** The file to open: the checkpoint itself, or the index of a sharded one. */
  readonly main: string;
  /** All of its files including `main`, sorted. */
  readonly paths: readonly string[];
}

/** Checkpoint names in order of preference: safetensors first, since they need no pickle. */
const FORMS = [
  { main: 'model.safetensors' },
  { main: 'model.safetensors.index.json', shard: /^model-\d+-of-\d+\.safetensors$/ },
  { main: 'pytorch_model.bin' },
  { main: 'pytorch_model.bin.index.json', shard: /^pytorch_model-\d+-of-\d+\.bin$/ },
] as const;

/** A layer behind the pooling of a sentence embedder has a file of its own. */
export const DENSE_FORMS: readonly string[] = [`${DENSE_DIR}/model.safetensors`, `${DENSE_DIR}/pytorch_model.bin`];

/** Whether a file is named as a checkpoint, or as a part of one, in any directory. */
export function isCheckpointFile(path: string): boolean {
  const name = posix.basename(path);
  return FORMS.some((form) => form.main === name || ('shard' in form && form.shard.test(name)));
}

/**
 * Returns the shards that are all there: each one's name has their number, as in `model-00001-of-00003.safetensors`. A repository that was
 * sharded twice may have both; the index, which is not read here, names those of one number.
 */
function wholeShards(names: readonly string[]): readonly string[] {
  const byNumber = new Map<string, string[]>();
  for (const name of names) {
    const number = /-of-(\d+)\./.exec(name)?.[1] ?? '';
    const others = byNumber.get(number) ?? [];
    byNumber.set(number, others);
    others.push(name);
  }
  return [...byNumber].flatMap(([number, shards]) => (shards.length === Number(number) ? shards : []));
}

/** Returns the whole checkpoint among a repository's files; undefined if there is none. `dir` is the model's directory in it. */
export function chooseCheckpoint(paths: readonly string[], dir = ''): CheckpointFiles | undefined {
  const prefix = dir === '' ? '' : `${dir}/`;
  const names = paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
  for (const form of FORMS) {
    if (!names.includes(form.main)) continue;
    const shards = 'shard' in form ? wholeShards(names.filter((name) => form.shard.test(name))) : [];
    if ('shard' in form && shards.length === 0) continue;
    const dense = DENSE_FORMS.filter((name) => names.includes(name)).slice(0, 1);
    return { main: prefix + form.main, paths: [form.main, ...shards, ...dense].map((name) => prefix + name).sort() };
  }
  return undefined;
}
