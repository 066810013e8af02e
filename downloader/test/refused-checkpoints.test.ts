import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HubRepository } from '@heimdex/hub';
import { expect } from 'chai';
import { bertRepository, whisperCheckpoint } from './support/checkpoints.js';
import { lastLine, runHere } from './support/program.js';
import { checkpointEnvironment } from './support/use-checkpoints.js';
import { useHub } from './support/use-hub.js';

type Json = Readonly<Record<string, unknown>>;

/** A repository with other values in config.json (`null` removes one), and with other files. */
function changed(repository: HubRepository, values: Json, files: Readonly<Record<string, unknown>> = {}) {
  const config = repository.files.find(({ path }) => path === 'config.json');
  const before = config !== undefined && 'bytes' in config ? (JSON.parse(String(config.bytes)) as Json) : {};
  const all = { 'config.json': { ...before, ...values }, ...files };
  return [
    ...repository.files.filter(({ path }) => !Object.hasOwn(all, path)),
    ...Object.entries(all).flatMap(([path, value]) =>
      value === null ? [] : [{ path, bytes: typeof value === 'string' ? value : JSON.stringify(value) }],
    ),
  ];
}

const BERT = bertRepository();
const whisper = whisperCheckpoint();
const WHISPER = {
  name: '',
  files: [...whisper.small, { path: 'model.safetensors', bytes: whisper.safetensors }],
};
const TOWER = { hidden_size: 64, intermediate_size: 128, num_hidden_layers: 1, num_attention_heads: 4 };
const SIGLIP = {
  name: '',
  files: changed(
    BERT,
    { model_type: 'siglip', text_config: TOWER, vision_config: { ...TOWER, image_size: 64 } },
    { 'tokenizer_config.json': { pad_token: '</s>' } },
  ),
};
const modules = (...named: readonly (readonly [string, string])[]) =>
  named.map(([type, path]) => ({ type: `sentence_transformers.models.${type}`, path }));
const POOLED = modules(['Transformer', ''], ['Pooling', '1_Pooling']);

interface Refused {
  readonly variable: 'TEXT_MODEL_NAME' | 'ASR_MODEL' | 'VISION_MODEL_NAME';
  readonly files: HubRepository['files'];
  /** In the message. */
  readonly words: readonly string[];
}

const text = (files: HubRepository['files'], ...words: string[]): Refused => ({
  variable: 'TEXT_MODEL_NAME',
  files,
  words,
});
const speech = (files: HubRepository['files'], ...words: string[]): Refused => ({
  variable: 'ASR_MODEL',
  files,
  words,
});
const vision = (files: HubRepository['files'], ...words: string[]): Refused => ({
  variable: 'VISION_MODEL_NAME',
  files,
  words,
});

const REFUSED: Readonly<Record<string, Refused>> = {
  'a reranker': text(
    changed(BERT, { architectures: ['BertForSequenceClassification'] }),
    'reranker',
    'BertForSequence',
  ),
  'a classifier of tokens': text(changed(BERT, { architectures: ['BertForTokenClassification'] }), 'of tokens'),
  'a model that answers questions': text(changed(BERT, { architectures: ['BertForQuestionAnswering'] }), 'questions'),
  ColBERT: text(changed(BERT, { architectures: ['HF_ColBERT'] }), 'ColBERT'),
  'other positions': text(changed(BERT, { position_embedding_type: 'alibi' }), 'position_embedding_type', '"alibi"'),
  'a decoder': text(changed(BERT, { is_decoder: true }), 'is_decoder of config.json to be false'),
  'another activation of the layer behind the pooling': text(
    changed(
      BERT,
      {},
      {
        'modules.json': [...POOLED, ...modules(['Dense', '2_Dense'])],
        '1_Pooling/config.json': { pooling_mode_mean_tokens: true },
        '2_Dense/config.json': { in_features: 64, out_features: 8, activation_function: 'torch.nn.GELU' },
        '2_Dense/model.safetensors': 'weights',
      },
    ),
    'activation_function of 2_Dense/config.json',
  ),
  'a layer elsewhere': text(
    changed(BERT, {}, { 'modules.json': [...POOLED, ...modules(['Dense', '3_Dense'])] }),
    'it has a Dense in 3_Dense too',
  ),
  'a pooling that is not known': text(
    changed(BERT, {}, { 'modules.json': POOLED, '1_Pooling/config.json': { pooling_mode: 'attention' } }),
    'Expected a pooling of cls, max',
    'got attention',
  ),
  'a pooling without its file': text(
    changed(BERT, {}, { 'modules.json': POOLED }),
    'its modules.json names Pooling, which needs 1_Pooling/config.json',
  ),
  'a pooling elsewhere': text(
    changed(BERT, {}, { 'modules.json': modules(['Transformer', ''], ['Pooling', '2_Pooling']) }),
    'it has a Pooling in 2_Pooling too',
  ),
  'token vectors that are scaled before they are pooled': text(
    changed(
      BERT,
      {},
      {
        'modules.json': modules(['Transformer', ''], ['Normalize', '1_Normalize'], ['Pooling', '1_Pooling']),
        '1_Pooling/config.json': { pooling_mode: 'mean' },
      },
    ),
    'it has Normalize before Pooling too',
  ),
  'a pooling that leaves the default prompt out': text(
    changed(
      BERT,
      {},
      {
        'modules.json': POOLED,
        '1_Pooling/config.json': { pooling_mode: 'mean', include_prompt: false },
        'config_sentence_transformers.json': { prompts: { query: 'query: ' }, default_prompt_name: 'query' },
      },
    ),
    'include_prompt of its 1_Pooling/config.json is false, and it has a default prompt',
  ),
  'modules in an object': text(changed(BERT, {}, { 'modules.json': {} }), 'its modules.json is not a list'),
  'modules in no JSON': text(changed(BERT, {}, { 'modules.json': '[{' }), 'its modules.json is not a list'),
  'texts without special tokens': text(
    changed(
      BERT,
      {},
      { 'sentence_roberta_config.json': { processing_kwargs: { text: { add_special_tokens: false } } } },
    ),
    'processing_kwargs of sentence_bert_config.json',
    'got add_special_tokens false too',
  ),
  'a config.json that is no JSON': text(changed(BERT, {}, { 'config.json': '{' }), 'its config.json is no JSON object'),
  'a table of word vectors, which has no config.json': text(
    changed(
      BERT,
      { model_type: null },
      { 'modules.json': modules(['StaticEmbedding', ''], ['Normalize', '1_Normalize']) },
    ),
    'it has StaticEmbedding too',
  ),
  'modules of no type': text(changed(BERT, {}, { 'modules.json': [{}] }), 'one without a type'),
  'a classifier of audio': speech(changed(WHISPER, { architectures: ['WhisperForAudioClassification'] }), 'of audio'),
  'scaled embeddings': speech(changed(WHISPER, { scale_embedding: true }), 'scale_embedding'),
  'another length of windows': speech(changed(WHISPER, { max_source_positions: 750 }), 'max_source_positions'),
  'a classifier of images, which has no tokenizer': vision(
    changed(SIGLIP, { architectures: ['SiglipForImageClassification'] }, { 'tokenizer.json': null }),
    'a classifier of images',
  ),
  'a network of code of its own': text(
    changed(
      BERT,
      {},
      {
        'modules.json': [{ type: 'custom_st.Transformer', path: '' }, ...modules(['Pooling', '1_Pooling'])],
        '1_Pooling/config.json': { pooling_mode: 'mean' },
      },
    ),
    'it has custom_st.Transformer too',
  ),
  "the vector of a BERT's pooler": text(
    changed(
      BERT,
      {},
      {
        'modules.json': modules(['Transformer', '']),
        'sentence_bert_config.json': {
          modality_config: { text: { method: 'forward', method_output_name: 'pooler_output' } },
          module_output_name: 'sentence_embedding',
        },
      },
    ),
    'Expected modality_config.text.method_output_name of sentence_bert_config.json to be last_hidden_state, got "pooler_output"',
  ),
  'values of config.json that another file replaces': text(
    changed(BERT, {}, { 'sentence_bert_config.json': { config_kwargs: { num_hidden_layers: 1, use_cache: false } } }),
    'Expected sentence_bert_config.json to replace nothing of config.json, got config_kwargs with num_hidden_layers. ',
  ),
  'values of config.json that a file of earlier versions replaces': text(
    changed(BERT, {}, { 'sentence_bert_config.json': { config_args: { num_hidden_layers: 1 } } }),
    'got config_args with num_hidden_layers. ',
  ),
  'a tokenizer with parts that are not known': text(
    changed(
      BERT,
      {},
      {
        'tokenizer.json': {
          normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Transliterate' }] },
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [
              { type: 'UnicodeScripts' },
              { type: 'ByteLevel' },
              { type: 'Metaspace', prepend_scheme: 'first' },
            ],
          },
        },
      },
    ),
    'its tokenizer.json has normalizer Transliterate, pre_tokenizer UnicodeScripts, pre_tokenizer Metaspace with prepend_scheme first behind ByteLevel, which',
  ),
  'a tokenizer with expressions that are not known': text(
    changed(
      BERT,
      {},
      {
        'tokenizer.json': {
          normalizer: { type: 'Replace', pattern: { Regex: '(?m)^\\p{L}' }, content: '' },
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [
              { type: 'Split', pattern: { Regex: '\\R|(?i:\\p{Han}|\\p{Alnum})\\\\X' }, behavior: 'Isolated' },
              { type: 'Split', pattern: { String: '\\X' }, behavior: 'Isolated' },
            ],
          },
        },
      },
    ),
    'its tokenizer.json has normalizer Replace with (?m), pre_tokenizer Split with \\R, pre_tokenizer Split with \\p{Alnum}, which',
  ),
  'a tokenizer with ids that are no numbers': text(
    changed(
      BERT,
      {},
      {
        'tokenizer.json': {
          added_tokens: [{ content: '[CLS]', id: 0 }, { content: 'x' }],
          post_processor: {
            type: 'Sequence',
            processors: [
              { type: 'BertProcessing', cls: ['[CLS]', 0], sep: ['[SEP]', '1'] },
              {
                type: 'TemplateProcessing',
                single: [],
                special_tokens: { '<s>': { ids: [0] }, '</s>': { ids: [-1] } },
              },
            ],
          },
        },
      },
    ),
    'its tokenizer.json has added token "x" without a number as id, post_processor BertProcessing with "[SEP]" without a number as id, post_processor TemplateProcessing with "</s>" without a number as id, which',
  ),
  'a tokenizer of Japanese words': text(
    changed(
      BERT,
      {},
      {
        'tokenizer.json': null,
        'vocab.txt': '[PAD]',
        'tokenizer_config.json': { tokenizer_class: 'BertJapaneseTokenizer' },
      },
    ),
    'its tokenizer is a BertJapaneseTokenizer',
    'save_pretrained',
  ),
  'a tokenizer that config.json names': text(
    changed(BERT, { tokenizer_class: 'PhobertTokenizer' }, { 'tokenizer.json': null, 'vocab.txt': '[PAD]' }),
    'its tokenizer is a PhobertTokenizer',
  ),
  'a tokenizer without a file that it is read from': text(
    changed(BERT, {}, { 'tokenizer.json': null, 'tokenizer_config.json': { tokenizer_class: 'RobertaTokenizer' } }),
    'its tokenizer is a RobertaTokenizer',
  ),
  'a preprocessor for other mel bands': speech(
    changed(WHISPER, {}, { 'preprocessor_config.json': { feature_size: 128 } }),
    'feature_size of its preprocessor is 128, and num_mel_bins of its config.json is 80',
  ),
  "the generation_config.json of another version's vocabulary": speech(
    changed(
      WHISPER,
      {},
      {
        'tokenizer.json': { added_tokens: [{ content: '<|transcribe|>', id: 108 }] },
        'generation_config.json': { task_to_id: { transcribe: 107 } },
      },
    ),
    "Expected <|transcribe|> to be 108 in the model's generation_config.json, as in its tokenizer, got 107",
  ),
  'a preprocessor for images of another size': vision(
    changed(SIGLIP, {}, { 'preprocessor_config.json': { size: { height: 32, width: 32 } } }),
    'size.width of its preprocessor is 32, and vision_config.image_size of its config.json is 64',
  ),
  'a preprocessor in the form of transformers 5 for another size': vision(
    changed(SIGLIP, {}, { 'processor_config.json': { image_processor: { size: 32 } } }),
    'size of its preprocessor is 32',
  ),
  'a preprocessor that crops to another size': vision(
    changed(SIGLIP, {}, { 'preprocessor_config.json': { size: { shortest_edge: 64 }, crop_size: { width: 32 } } }),
    'crop_size.width of its preprocessor is 32',
  ),
  'images that are resized to the nearest pixel': vision(
    changed(SIGLIP, {}, { 'preprocessor_config.json': { size: 64, resample: 0 } }),
    'Expected resample to be one of 1, 2, 3, 4, 5 in preprocessor_config.json, got 0. ',
  ),
  'texts that are padded with a token that no file names': vision(
    changed(SIGLIP, {}, { 'tokenizer_config.json': { pad_token: null } }),
    'its tokenizer_config.json names no pad_token',
  ),
  'images of one channel': vision(
    changed(SIGLIP, { vision_config: { ...TOWER, num_channels: 1 } }),
    'vision_config.num_channels',
  ),
  'towers of two widths': vision(
    changed(SIGLIP, { text_config: { ...TOWER, projection_size: 32 } }),
    'text_config.projection_size',
  ),
};

const ACCEPTED: Readonly<Record<string, HubRepository['files']>> = {
  BertForMaskedLM: changed(BERT, { architectures: ['BertForMaskedLM'] }),
  BertForPreTraining: changed(BERT, { architectures: ['BertForPreTraining'] }),
  BertModel: changed(BERT, { architectures: ['BertModel'] }),
  'BertForSequenceClassification, pooled': changed(
    bertRepository({ head: { 'classifier.weight': [2, 64], 'classifier.bias': [2] } }),
    { architectures: ['BertForSequenceClassification'] },
    { 'modules.json': POOLED, '1_Pooling/config.json': { pooling_mode_mean_tokens: true } },
  ),
};

describe('a checkpoint that cannot be compiled', () => {
  const nameOf = (what: string) => `acme/${what.replace(/[^a-z]+/gi, '-')}`;
  const all = { ...Object.fromEntries(Object.entries(REFUSED).map(([what, { files }]) => [what, files])), ...ACCEPTED };
  const repositories = Object.entries(all).map(([what, files]) => ({ name: nameOf(what), files }));
  const { dir, hub } = useHub({ repositories, scope: 'suite' });

  const NONE = { ASR_MODEL: 'none', LOAD_BGE_M3: 'false', VISION_MODEL_NAME: 'none' };
  const env = (variable: Refused['variable'], name: string) =>
    checkpointEnvironment(dir.path, hub.url, {
      ...NONE,
      [variable]: name,
      ...(variable === 'TEXT_MODEL_NAME' ? { LOAD_BGE_M3: 'true' } : {}),
    });

  for (const [what, { variable, words }] of Object.entries(REFUSED)) {
    it(`is refused when it is planned, by what it is: ${what}`, async () => {
      const result = await runHere(['plan'], env(variable, nameOf(what)));
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result)).to.include({ code: 'CHECKPOINT_INVALID' });
      expect(lastLine(result).msg).to.include(`Choose another model with ${variable}`);
      for (const word of words) expect(lastLine(result).msg).to.include(word);
      expect(hub.requests.filter({ kind: 'bytes' }).map(({ file }) => file)).not.to.include('model.safetensors');
    });
  }

  // That of BertForMaskedLM is compiled by the test below.
  for (const what of Object.keys(ACCEPTED).filter((name) => name !== 'BertForMaskedLM')) {
    it(`is not one with a head that the vectors do not need: ${what}`, async () => {
      const result = await runHere([], env('TEXT_MODEL_NAME', nameOf(what)));
      expect(result.status, result.stderr).to.equal(0);
    });
  }

  it('is refused by what it is if another program left it on the volume and there is no network', async () => {
    const name = nameOf('BertForMaskedLM');
    expect((await runHere([], env('TEXT_MODEL_NAME', name))).status).to.equal(0);
    const cache = join(dir.path, 'cache');
    await rm(join(cache, '.compiled'), { recursive: true });
    await rm(join(cache, 'models.lock.json'));
    const snapshots = join(cache, `models--${name.replace('/', '--')}`, 'snapshots');
    const [commit = ''] = await readdir(snapshots);
    const path = join(snapshots, commit, 'config.json');
    const config = JSON.parse(await readFile(path, 'utf8'));
    const nested = (depth: number) =>
      JSON.stringify(config).replace('{', `{"made":${'['.repeat(depth)}${']'.repeat(depth)},`);
    const text = '\\"['.repeat(200);
    for (const [bytes, message] of [
      [JSON.stringify({ text, ...config, architectures: ['BertForSequenceClassification'] }), 'a reranker'],
      ['{', `Expected ${path} to be JSON, got "Expected property name`],
      [
        nested(100_000),
        `Expected ${path} to be JSON, got "more than 100 lists and objects in each other". To fetch it`,
      ],
    ] as const) {
      await rm(path);
      await writeFile(path, bytes);
      // With the hub, the file of its commit is fetched instead.
      const result = await runHere([], { ...env('TEXT_MODEL_NAME', name), HF_HUB_OFFLINE: '1' });
      expect(result.status, result.stderr).to.equal(7);
      expect(lastLine(result).msg).to.include(message);
    }
  });
});
