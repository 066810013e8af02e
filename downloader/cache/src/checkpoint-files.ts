/** Which of a repository's files are its checkpoint. Pure. */

/** The files of one checkpoint. */
export interface CheckpointFiles {
  /** The file that is opened: the checkpoint itself, or the index of one in shards. */
  readonly main: string;
  /** All of its files, `main` among them, sorted. */
  readonly paths: readonly string[];
}

/** Names of checkpoints in the order in which they are preferred: safetensors need no trust in a pickle. */
const FORMS = [
  { main: 'model.safetensors' },
  { main: 'model.safetensors.index.json', shard: /^model-\d+-of-\d+\.safetensors$/ },
  { main: 'pytorch_model.bin' },
  { main: 'pytorch_model.bin.index.json', shard: /^pytorch_model-\d+-of-\d+\.bin$/ },
] as const;

/** The checkpoint among a repository's files; undefined where there is none. `dir` is where the model lies in it. */
export function chooseCheckpoint(paths: readonly string[], dir = ''): CheckpointFiles | undefined {
  const prefix = dir === '' ? '' : `${dir}/`;
  const names = paths.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length));
  for (const form of FORMS) {
    if (!names.includes(form.main)) continue;
    const shards = 'shard' in form ? names.filter((name) => form.shard.test(name)) : [];
    if ('shard' in form && shards.length === 0) continue;
    return { main: prefix + form.main, paths: [form.main, ...shards].map((name) => prefix + name).sort() };
  }
  return undefined;
}
