import { expect } from 'chai';
import type { JsonObject } from '../../src/json.js';
import { createTokenizer } from '../../src/tokenizer/index.js';
import { createPreTokenizer } from '../../src/tokenizer/pre-tokenizers.js';

const VOCABULARY = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'É', 'e', 'a', 'b', 'c', '한국', ',', '中', '中文'];

/** A tokenizer.json of whole words. */
function words(more: JsonObject = {}): JsonObject {
  return {
    added_tokens: [],
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: { type: 'BertProcessing', cls: ['[CLS]', 2], sep: ['[SEP]', 3] },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      vocab: Object.fromEntries(VOCABULARY.map((word, id) => [word, id])),
    },
    ...more,
  };
}

const idsOf = (json: JsonObject, settings: JsonObject, text: string, limit = 8) =>
  createTokenizer(json, settings).encode(text, limit).ids;

describe('a tokenizer.json', () => {
  it("has BERT's normalization as tokenizer_config.json says, as transformers' classes do", () => {
    const bert = { tokenizer_class: 'BertTokenizerFast' };
    expect(idsOf(words(), { ...bert, do_lower_case: false }, 'É')).to.deep.equal([2, 4, 3]);
    expect(idsOf(words(), { ...bert, strip_accents: false }, 'É')).to.deep.equal([2, 1, 3]);
    expect(idsOf(words(), { ...bert, tokenize_chinese_chars: false }, '中文')).to.deep.equal([2, 12, 3]);
    const cased = words({ normalizer: { type: 'BertNormalizer', lowercase: false } });
    // Their default.
    expect(idsOf(cased, bert, 'É')).to.deep.equal([2, 5, 3]);
    // A class of no settings of its own.
    expect(idsOf(cased, { tokenizer_class: 'PreTrainedTokenizerFast', do_lower_case: true }, 'É')).to.deep.equal([
      2, 4, 3,
    ]);
  });

  it('of lowered texts keeps the case of special tokens in them, and added words, as in sentence-transformers', () => {
    const added = { single_word: false, lstrip: false, rstrip: false };
    const lowered = (normalizer: JsonObject | null, text: string) => {
      const added_tokens = [
        { id: 3, content: '[SEP]', special: true, normalized: false, ...added },
        { id: 13, content: 'A', special: false, normalized: true, ...added },
      ];
      return createTokenizer(words({ normalizer, added_tokens }), {}, { lowerCase: true }).encode(text, 8).ids;
    };
    const cased = { type: 'BertNormalizer', lowercase: false };
    for (const normalizer of [null, cased, { type: 'Sequence', normalizers: [cased] }])
      expect(lowered(normalizer, 'A [SEP] B')).to.deep.equal([2, 6, 3, 7, 3]);
    // Lowered already, and its added words with it.
    for (const normalizer of [{ type: 'Lowercase' }, { type: 'Sequence', normalizers: [{ type: 'Lowercase' }] }])
      expect(lowered(normalizer, 'A [SEP] B')).to.deep.equal([2, 13, 3, 7, 3]);
  });

  it("gives added tokens the vocabulary's ids or the next ones, and those of tokenizer_config.json too, as transformers does", () => {
    const plain = { special: true, normalized: false, single_word: false, lstrip: false, rstrip: false };
    const added_tokens = [
      { id: 40, content: '<x>', ...plain },
      { id: 41, content: '[SEP]', ...plain },
      { id: 42, content: '<y>', ...plain },
    ];
    const settings = {
      pad_token: '<y>',
      added_tokens_decoder: { 50: { content: '<z>', ...plain }, 42: { content: '<y>', ...plain, single_word: true } },
    };
    expect(idsOf(words({ added_tokens }), {}, '<x>a[SEP] a<y>')).to.deep.equal([2, 13, 6, 3, 6, 14, 3]);
    expect(idsOf(words({ added_tokens }), settings, '<z><y>a')).to.deep.equal([2, 15, 1, 1, 1, 6, 3]);
    expect(createTokenizer(words({ added_tokens }), settings).padId).to.equal(14);
  });

  it('begins a text with a space if a RoBERTa says so', () => {
    const vocab = { '<s>': 0, '</s>': 1, a: 2, Ġa: 3, Ġ: 4 };
    const roberta = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: {
        type: 'RobertaProcessing',
        sep: ['</s>', 1],
        cls: ['<s>', 0],
        add_prefix_space: false,
        trim_offsets: true,
      },
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab,
        merges: ['Ġ a'],
        unk_token: null,
        continuing_subword_prefix: '',
        end_of_word_suffix: '',
      },
    };
    const settings = { tokenizer_class: 'RobertaTokenizer' };
    expect(idsOf(roberta, settings, 'a')).to.deep.equal([0, 2, 1]);
    expect(idsOf(roberta, { ...settings, add_prefix_space: true }, 'a')).to.deep.equal([0, 3, 1]);
  });

  it('cuts a text that is too long at the side that either file names', () => {
    expect(idsOf(words(), {}, 'a b c', 4)).to.deep.equal([2, 6, 7, 3]);
    for (const [json, settings] of [
      [words(), { truncation_side: 'left' }],
      [words({ truncation: { direction: 'Left', max_length: 4 } }), {}],
    ] as const) {
      const tokenizer = createTokenizer(json, settings);
      expect(tokenizer.encode('a b c', 4)).to.deep.equal({ ids: [2, 7, 8, 3], truncated: true });
      expect(tokenizer.encode('a b', 4)).to.deep.equal({ ids: [2, 6, 7, 3], truncated: false });
      expect(tokenizer.encode('a b', 2)).to.deep.equal({ ids: [2, 3], truncated: true });
    }
  });

  it('splits at punctuation and digits, and takes letters of every script for words', () => {
    const split = (config: JsonObject, text: string) => [...(createPreTokenizer(config)?.(text, true) ?? [])];
    expect(split({ type: 'Whitespace' }, '한국, schöner_Tag 2!?')).to.deep.equal([
      '한국',
      ',',
      'schöner_Tag',
      '2',
      '!?',
    ]);
    expect(split({ type: 'Punctuation', behavior: 'Isolated' }, 'f(x):\n')).to.deep.equal([
      'f',
      '(',
      'x',
      ')',
      ':',
      '\n',
    ]);
    expect(split({ type: 'Digits', individual_digits: true }, 'a12')).to.deep.equal(['a', '1', '2']);
    expect(split({ type: 'Digits', individual_digits: false }, 'a12b')).to.deep.equal(['a', '12', 'b']);
  });

  it('of byte pairs takes letters of every script for words too', () => {
    const pairs = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Whitespace' }] },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab: { 한: 0, 국: 1, 한국: 2, ',': 3, a: 4 }, merges: ['한 국'], unk_token: null },
    };
    expect(idsOf(pairs, {}, '한국, 한국')).to.deep.equal([2, 3, 2]);
  });
});
