import { join } from 'node:path';
import { readCompiledModels } from '@heimdex/cache';
import { type HubFile, randomTensors, safetensorsFile, torchFile } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository, whisperCheckpoint } from './checkpoints.js';
import { runHere, testEnvironment } from './program.js';
import { useHub } from './use-hub.js';

/** The repository of useCheckpoints that its environment configures. */
export const NAME = 'acme/german-bert';
/** modules.json with a module behind the pooling. */
const modules = (type: string, path: string, before: readonly object[] = []) => ({
  path: 'modules.json',
  bytes: JSON.stringify([
    { type: 'sentence_transformers.models.Transformer', path: '' },
    { type: 'sentence_transformers.models.Pooling', path: '1_Pooling' },
    ...before,
    { type: `sentence_transformers.models.${type}`, path },
  ]),
});
/** A layer behind the pooling, as LaBSE has one. */
const DENSE = [
  modules('Dense', '2_Dense'),
  { path: '1_Pooling/config.json', bytes: '{"pooling_mode_cls_token": true}' },
  { path: '2_Dense/config.json', bytes: '{"in_features": 64, "out_features": 16, "bias": true}' },
];
const DENSE_TENSORS = randomTensors({ 'linear.weight': [16, 64], 'linear.bias': [16] }, 4);
/** The files of a repository with such a layer, in addition to those of its network. */
export const DENSE_FILES: readonly HubFile[] = [
  ...DENSE,
  { path: '2_Dense/model.safetensors', bytes: safetensorsFile(DENSE_TENSORS) },
  { path: '2_Dense/pytorch_model.bin', bytes: torchFile(DENSE_TENSORS) },
];
/** Repositories with weights in other programs' formats, under other names or elsewhere, and the file that shows it. */
export const FOREIGN: Readonly<Record<string, string>> = {
  'acme/ctranslate2': 'model.bin',
  'acme/lora': 'adapter_model.safetensors',
  'acme/ggml': 'ggml-medium.bin',
  'acme/gguf': 'whisper-q8.gguf',
  'acme/tensorflow': 'tf_model.h5',
  'acme/variant': 'model.fp16.safetensors',
  'acme/word-vectors': '0_StaticEmbedding/model.safetensors',
  'acme/old-layout': '0_Transformer/pytorch_model.bin',
  'acme/renamed': 'whisper.safetensors',
};
/** SigLIP needs it. */
const TOKENIZER_CONFIG = { path: 'tokenizer_config.json', bytes: '{}' };

const CHECKPOINT_SETTINGS = { ASR_MODEL: 'none', LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: NAME };

/** The environment of a downloader that is to have the text checkpoint NAME and no other model. */
export function checkpointEnvironment(dir: string, hubUrl: string, more: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return testEnvironment(dir, hubUrl, { ...CHECKPOINT_SETTINGS, ...more });
}

/** Starts a hub of small checkpoints for the suite; each test has its own directory. */
export function useCheckpoints() {
  const whisper = whisperCheckpoint();
  const {
    dir,
    hub,
    filled: filledWith,
  } = useHub({
    scope: 'suite',
    repositories: [
      bertRepository(),
      bertRepository({ name: 'acme/bin-bert', weights: 'bin' }),
      bertRepository({ name: 'acme/sharded-bert', weights: 'shards' }),
      { name: 'acme/no-tokenizer', files: bertRepository().files.filter(({ path }) => path !== 'tokenizer.json') },
      { name: 'acme/halves', files: [...withConfig(bertRepository(), { torch_dtype: 'float16' })] },
      { name: 'acme/words', files: [...withWords(bertRepository())] },
      { name: 'acme/clip', files: [...withConfig(bertRepository(), { model_type: 'clip' }), TOKENIZER_CONFIG] },
      { name: 'acme/naflex', files: [...withConfig(bertRepository(), { model_type: 'siglip2' }), TOKENIZER_CONFIG] },
      ...Object.entries(FOREIGN).map(([name, path]) => ({
        name,
        files: [
          { path: 'config.json', bytes: '{}' },
          { path, bytes: 'weights' },
        ],
      })),
      { name: 'acme/deberta', files: [...withConfig(bertRepository(), { model_type: 'deberta-v2' })] },
      { name: 'acme/roberta', files: [...withConfig(bertRepository(), { model_type: 'roberta' })] },
      {
        name: 'acme/dense',
        files: [...bertRepository().files, ...DENSE_FILES],
      },
      {
        name: 'acme/bin-dense',
        files: [
          ...bertRepository({ weights: 'bin' }).files,
          ...DENSE,
          { path: '2_Dense/pytorch_model.bin', bytes: torchFile(DENSE_TENSORS) },
        ],
      },
      { name: 'acme/half-dense', files: [...bertRepository().files, ...DENSE] },
      {
        name: 'acme/normalized-dense',
        files: [
          ...bertRepository().files,
          modules('Dense', '2_Dense', [{ type: 'sentence_transformers.models.Normalize', path: '3_Normalize' }]),
        ],
      },
      { name: 'acme/weighted', files: [...bertRepository().files, modules('WordWeights', '2_WordWeights')] },
      {
        name: 'acme/whisper-test',
        files: [...whisper.small, { path: 'model.safetensors', bytes: whisper.safetensors }],
      },
    ],
  });
  const cache = () => join(dir.path, 'cache');
  const env = (more: NodeJS.ProcessEnv = {}) => checkpointEnvironment(dir.path, hub.url, more);
  const ok = async (argv: readonly string[] = [], more: NodeJS.ProcessEnv = {}) => {
    const result = await runHere(argv, env(more));
    expect(result.status, result.stderr).to.equal(0);
    return result;
  };
  /** Fills the test's volume with NAME and its compiled form, which is compiled once for the suite. */
  const filled = () => filledWith(NAME, CHECKPOINT_SETTINGS);
  const json = async (argv: readonly string[], more: NodeJS.ProcessEnv = {}) =>
    JSON.parse((await ok([...argv, '--json'], more)).stdout);
  const snapshot = (name = NAME) =>
    join(cache(), `models--${name.replace('/', '--')}`, 'snapshots', hub.commit(name).sha);
  const compiled = async (name = NAME) => {
    const [model, ...more] = await readCompiledModels(cache(), name);
    if (model === undefined || more.length > 0) throw new Error(`${more.length + 1} compiled models`);
    return model;
  };
  const bytesAsked = () => hub.requests.filter({ kind: 'bytes' }).map(({ file }) => file);

  return {
    dir,
    whisper,
    env,
    ok,
    filled,
    json,
    snapshot,
    compiled,
    bytesAsked,
    requests: () => hub.requests,
    publish: hub.publish,
  };
}

/** As Python's slow tokenizers save theirs. */
function* withWords({ files }: ReturnType<typeof bertRepository>) {
  for (const file of files) if (file.path !== 'tokenizer.json') yield file;
  yield { path: 'vocab.txt', bytes: '[PAD]\n[UNK]\n[CLS]\n[SEP]\n' };
}

function* withConfig({ files }: ReturnType<typeof bertRepository>, members: object) {
  for (const file of files) {
    if (file.path !== 'config.json' || !('bytes' in file)) yield file;
    else yield { ...file, bytes: JSON.stringify({ ...JSON.parse(String(file.bytes)), ...members }) };
  }
}
