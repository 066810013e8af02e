import { COMPILABLE_FAMILIES, type ConfiguredModel, chooseCheckpoint, type Tree } from '@heimdex/cache';
import { formatFirst } from '@heimdex/common';
import { hasWeights } from './checkpoint-source.js';
import { DownloaderError } from './errors.js';

/** Weights in other programs' formats, under other names or elsewhere, and what leads to a checkpoint. */
const FOREIGN: readonly { readonly file: RegExp; readonly what: string; readonly instead: string }[] = [
  {
    file: /(^|\/)adapter_model\.(safetensors|bin)$/,
    what: 'a LoRA adapter',
    instead: 'Merge it into its model (in PEFT: merge_and_unload) and publish that',
  },
  {
    file: /(^|\/)model\.bin$/,
    what: 'weights for CTranslate2, as faster-whisper has them',
    instead: 'Choose the model that they were converted from',
  },
  {
    file: /\.gguf$|(^|\/)ggml[^/]*\.bin$/,
    what: 'weights for whisper.cpp or llama.cpp',
    instead: 'Choose the model that they were converted from',
  },
  {
    file: /(^|\/)(tf_model\.h5|flax_model\.msgpack)$/,
    what: 'weights for TensorFlow or Flax alone',
    instead: 'Load it in transformers with from_tf=True or from_flax=True and save it',
  },
  {
    file: /^0_(StaticEmbedding|WordEmbeddings)\/(model\.safetensors|pytorch_model\.bin)$/,
    what: 'a table of word vectors without a network',
    instead: `Choose a model with a network (${COMPILABLE_FAMILIES.sentence?.join(', ')})`,
  },
  {
    file: /^0_[^/]+\/(model\.safetensors|pytorch_model\.bin)$/,
    what: 'the layout of the first versions of sentence-transformers, with the network in a directory of its own',
    instead: 'Load it in sentence-transformers and save it',
  },
  {
    file: /^(model|pytorch_model)\.[\w-]+\.(safetensors|bin)$/,
    what: 'weights of a variant',
    instead:
      'Load it in transformers with that variant and save it without (from_pretrained with variant, save_pretrained)',
  },
  {
    // A shard is of an incomplete checkpoint.
    file: /^(?!.*-of-\d+\.)[^/]+\.safetensors$/,
    what: 'weights under another name',
    instead: 'Save it in transformers (save_pretrained)',
  },
];

/**
 * Returns the error for a repository without the weights of any layout that its name may mean; undefined if it has some.
 *
 * @param at - The repository and its commit.
 */
export function unusableWeights(configured: ConfiguredModel, tree: Tree, at: string): DownloaderError | undefined {
  const layouts = [configured, ...(configured.otherwise === undefined ? [] : [configured.otherwise])];
  if (layouts.some((layout) => hasWeights(layout, tree))) return undefined;
  const foreign = foreignWeights(configured, tree);
  if (foreign !== undefined) return foreign;
  const { role, id, variable, name } = configured;
  const exported = layouts.flatMap(({ files }) =>
    files.flatMap(({ path, weights }) => (weights === undefined ? [] : path)),
  );
  const wanted = [
    ...(layouts.some(({ compile }) => compile !== undefined) ? [CHECKPOINT] : []),
    ...(exported.length === 0 ? [] : [`an ONNX export (${exported.join(', ')})`]),
  ];
  const graphs = [...tree.keys()].filter((path) => path.endsWith('.onnx'));
  const got = graphs.length === 0 ? '' : `, got ${formatFirst(graphs, 3)}`;
  const others = graphs.length === 0 ? '' : 'variant or ';
  const [base = '', variant] = name.split(':');
  // A variant of exports alone hides the checkpoint.
  const checkpoint =
    variant !== undefined && configured.compile === undefined && chooseCheckpoint([...tree.keys()], configured.dir);
  const instead = checkpoint
    ? `Without the variant, as ${variable}=${base}, its checkpoint is compiled. Or choose`
    : 'Choose';
  return new DownloaderError(
    'NOT_FOUND',
    `${at} has no weights that the ${role} model ${id} (${variable}=${name}) could use: expected ${wanted.join(' or ')}${got}. ${instead} another ${others}model with ${variable}, then run: heimdex-downloader plan`,
  );
}

const CHECKPOINT = 'a checkpoint (model.safetensors or pytorch_model.bin, or the index of either with all its shards)';

/** Returns an error that names another program's format, if a repository's only weights are in one; else undefined. */
function foreignWeights({ id, variable, name }: ConfiguredModel, tree: Tree): DownloaderError | undefined {
  const paths = [...tree.keys()];
  if (chooseCheckpoint(paths) !== undefined || paths.some((path) => path.endsWith('.onnx'))) return undefined;
  for (const { file, what, instead } of FOREIGN) {
    const path = paths.find((one) => file.test(one));
    if (path === undefined) continue;
    return new DownloaderError(
      'CHECKPOINT_INVALID',
      `${id} (${variable}=${name}) cannot be used: its repository has ${what} (${path}), and neither model.safetensors, pytorch_model.bin nor an ONNX export. ${instead}, then run: heimdex-downloader plan`,
    );
  }
  return undefined;
}
