import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSentenceRecipe, tokenizeText } from '../../src/models/sentence/preprocess.js';
import { loadTokenizer, type TextTokenizer } from '../../src/tokenizer/index.js';
import { modelFiles } from '../support/paths.js';

describe("a sentence model's modules", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-modules-'));
    await mkdir(join(dir, 'model', 'pool'), { recursive: true });
    for (const path of ['model/pool', '.']) {
      await writeFile(join(dir, path, 'config.json'), '{"pooling_mode_cls_token": true}');
    }
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const write = (name: string, value: unknown) => writeFile(join(dir, 'model', name), JSON.stringify(value));
  const recipe = (name = 'org/name') => {
    const files = modelFiles(name, join(dir, 'model'), { model: 'model.onnx' });
    return readSentenceRecipe(files, join(dir, 'model', 'model.onnx'));
  };
  async function pooling(path: string) {
    await write('modules.json', [{ type: 'sentence_transformers.models.Pooling', path }]);
    return (await recipe()).pooling;
  }

  it('are read from their directory', async () => {
    expect(await pooling('pool')).to.deep.equal(['cls']);
    expect(await pooling('pool/')).to.deep.equal(['cls']);
  });

  it('are that of the family in the name of a repository without them', async () => {
    const firstToken = ['bge-small-en-v1.5', 'snowflake-arctic-embed-s', 'mxbai-embed-large-v1'];
    const gte = ['gte-base-en-v1.5', 'gte-large-zh', 'gte-multilingual-base', 'gte-modernbert-base'];
    const mean = ['gte-small', 'gte-base', 'gte-large-onnx', 'gte-tiny', 'multilingual-e5-small', 'all-MiniLM-L6-v2'];
    for (const [names, mode] of [
      [[...firstToken, ...gte], 'cls'],
      [mean, 'mean'],
    ] as const) {
      for (const name of names) expect((await recipe(`Xenova/${name}`)).pooling, name).to.deep.equal([mode]);
    }
  });

  it('are an error if the directory of the pooling is missing', async () => {
    expect(await pooling('1_Pooling').then(String, (error: Error) => error.message))
      .to.include('Expected 1_Pooling/config.json')
      .and.include('modules.json');
  });

  for (const path of ['..', '../', '/etc', 'pool/../..', 'pool\\..\\..']) {
    it(`are not read outside of the model's directory: ${path}`, async () => {
      expect(await pooling(path).then(String, (error: Error) => error.message)).to.include('cannot be used');
    });
  }

  it('are known by the last part of their types, which moved between packages', async () => {
    const types = [
      'base.modules.transformer.Transformer',
      'models.Dropout',
      'base.modules.normalize.Normalize',
      'models.Dense',
    ];
    await write(
      'modules.json',
      types.map((type) => ({ type: `sentence_transformers.${type}`, path: '' })),
    );
    expect((await recipe()).unknownModules).to.deep.equal(['Dense']);
    await write('modules.json', [
      { type: 'custom_st.Transformer', path: '' },
      { type: 'custom_st.Dropout', path: '' },
    ]);
    expect((await recipe()).unknownModules).to.deep.equal(['custom_st.Dropout']);
  });

  it('are not supported in an order that scales token vectors before they are pooled', async () => {
    for (const [types, unknown] of [
      [['Transformer', 'Pooling', 'Normalize'], []],
      [['Transformer', 'Normalize', 'Pooling'], ['Normalize before Pooling']],
    ] as const) {
      await write(
        'modules.json',
        types.map((type) => ({ type: `sentence_transformers.models.${type}`, path: type === 'Pooling' ? 'pool' : '' })),
      );
      expect((await recipe()).unknownModules).to.deep.equal(unknown);
    }
  });

  it('put the default prompt before every text, as sentence-transformers does', async () => {
    await write('config_sentence_transformers.json', { prompts: { query: 'query: ', document: 'passage: ' } });
    expect((await recipe()).prompt).to.equal('');
    await write('config_sentence_transformers.json', { prompts: { query: 'query: ' }, default_prompt_name: 'query' });
    const read = await recipe();
    expect(read.prompt).to.equal('query: ');
    const encoded: string[] = [];
    const tokenizer = {
      maxTokens: 8,
      encode: (text: string) => {
        encoded.push(text);
        return { ids: [], truncated: false };
      },
    };
    tokenizeText('Snow', tokenizer as unknown as TextTokenizer, read);
    expect(encoded).to.deep.equal(['query: Snow']);
  });

  it("cut texts where sentence-transformers does: at max_seq_length, else at the tokenizer's limit, never beyond the positions", async () => {
    const limits: number[] = [];
    const tokenizer = {
      maxTokens: 128,
      encode: (_: string, limit: number) => {
        limits.push(limit);
        return { ids: [], truncated: false };
      },
    };
    const read = async () => tokenizeText('Snow', tokenizer as unknown as TextTokenizer, await recipe());
    await write('config.json', { model_type: 'roberta', max_position_embeddings: 514 });
    await read();
    for (const max_seq_length of [512, 64, 514, null]) {
      await write('sentence_bert_config.json', { max_seq_length });
      await read();
    }
    for (const processing_kwargs of [
      { text: { max_length: 32, padding: true, add_special_tokens: true } },
      { text: { max_length: 32 }, common: { max_length: 16 } },
      { text: { truncation: false } },
    ]) {
      await write('sentence_bert_config.json', { max_seq_length: 64, processing_kwargs });
      await read();
    }
    for (const key of ['processor_kwargs', 'tokenizer_args']) {
      await write('sentence_bert_config.json', { max_seq_length: 64, [key]: { model_max_length: 24 } });
      await read();
    }
    expect(limits).to.deep.equal([128, 512, 64, 512, 128, 32, 16, 512, 24, 24]);
  });

  it("have the Transformer's settings in a file of an older name too, if the current one has none", async () => {
    await write('sentence_xlm-roberta_config.json', { max_seq_length: 64, do_lower_case: true });
    await write('sentence_bert_config.json', {});
    expect(await recipe()).to.deep.include({
      maxTokens: 64,
      tokenizer: { settings: {}, tokenizerClass: undefined, lowerCase: true },
    });
    await write('sentence_roberta_config.json', { max_seq_length: 32, tokenizer_args: { truncation_side: 'left' } });
    const settings = { truncation_side: 'left' };
    const tokenizer = { settings, tokenizerClass: undefined, lowerCase: false };
    expect(await recipe()).to.deep.include({ maxTokens: 32, tokenizer });
  });

  it("have the tokenizer of config.json's class or type, with its defaults, if tokenizer_config.json names no class: AutoTokenizer", async () => {
    await write('tokenizer.json', {
      normalizer: { type: 'BertNormalizer', lowercase: false },
      pre_tokenizer: { type: 'BertPreTokenizer' },
      model: { type: 'WordPiece', unk_token: '?', vocab: { '?': 0, a: 1, A: 2 } },
    });
    const path = join(dir, 'model', 'tokenizer_config.json');
    for (const [network, settings, id] of [
      [{ model_type: 'bert' }, {}, 1],
      [{ model_type: 'mpnet' }, { tokenizer_class: null }, 1],
      [{ model_type: 'distilbert' }, { do_lower_case: false }, 2],
      [{ model_type: 'bert', tokenizer_class: 'PreTrainedTokenizerFast' }, {}, 2],
      [{ model_type: 'xlm-roberta', tokenizer_class: 'BertTokenizer' }, {}, 1],
      [{ model_type: 'bert' }, { tokenizer_class: 'PreTrainedTokenizerFast' }, 2],
      [{ model_type: 'xlm-roberta' }, {}, 2],
    ] as const) {
      await write('config.json', network);
      await write('tokenizer_config.json', settings);
      const tokenizer = await loadTokenizer(join(dir, 'model'), path, (await recipe()).tokenizer);
      expect(tokenizer.encode('A', 8).ids, JSON.stringify([network, settings])).to.deep.equal([id]);
    }
  });

  it('that want other tokens than the tokenizer gives are refused by name', async () => {
    const processing_kwargs = { text: { add_special_tokens: false }, common: { split_special_tokens: true } };
    await write('sentence_bert_config.json', { processing_kwargs });
    const message = await recipe().then(String, (error: Error) => error.message);
    expect(message).to.include('got split_special_tokens, add_special_tokens false too');
  });

  it('that pool a text without its prompt are refused if there is one', async () => {
    await writeFile(
      join(dir, 'model', 'pool', 'config.json'),
      '{"pooling_mode": "mean", "include_prompt": false, "embedding_dimension": 8}',
    );
    expect(await pooling('pool')).to.deep.equal(['mean']);
    await write('config_sentence_transformers.json', { prompts: { query: 'query: ' }, default_prompt_name: 'query' });
    expect(await recipe().then(String, (error: Error) => error.message)).to.include('include_prompt false');
  });

  for (const [type, tokens, withPadding0] of [
    ['bert', 512, 512],
    ['distilbert', 512, 512],
    ['roberta', 510, 511],
    ['xlm-roberta', 510, 511],
    ['camembert', 510, 511],
    ['mpnet', 510, 510],
  ] as const) {
    it(`leave a text the positions behind the padding token's: ${type}`, async () => {
      await write('config.json', { model_type: type, max_position_embeddings: 512 });
      expect((await recipe()).positions).to.equal(tokens);
      await write('config.json', { model_type: type, max_position_embeddings: 512, pad_token_id: 0 });
      expect((await recipe()).positions).to.equal(withPadding0);
    });
  }
});
