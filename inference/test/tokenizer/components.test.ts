import { expect } from 'chai';
import type { JsonObject } from '../../src/json.js';
import { createTokenizer } from '../../src/tokenizer/index.js';

const START_AND_END = { type: 'BertProcessing', cls: ['<s>', 0], sep: ['</s>', 1] };

/** Ids in the order of the pieces, the first three special. */
function vocabulary(...pieces: readonly string[]): Record<string, number> {
  return Object.fromEntries(['<s>', '</s>', '<unk>', ...pieces].map((piece, id) => [piece, id]));
}

function wordPieces(...pieces: readonly string[]): JsonObject {
  const settings = { unk_token: '<unk>', continuing_subword_prefix: '##', max_input_chars_per_word: 100 };
  return { type: 'WordPiece', ...settings, vocab: vocabulary(...pieces) };
}

function unigram(more: JsonObject, ...pieces: readonly string[]): JsonObject {
  const vocab = Object.keys(vocabulary(...pieces)).map((piece, id) => [piece, id < 3 ? 0 : -1]);
  return { type: 'Unigram', unk_id: 2, vocab, byte_fallback: false, ...more };
}

/** What differs from a tokenizer of whole texts, a text, and its ids in Python's tokenizers 0.23. */
const CASES: Readonly<Record<string, readonly [json: JsonObject, text: string, ids: readonly number[]]>> = {
  'the bytes of unknown characters are tokens': [
    {
      model: unigram({ byte_fallback: true }, '▁', 'a', '<0xC3>', '<0xA9>', '<0x0A>'),
      pre_tokenizer: { type: 'Metaspace' },
    },
    'aé\n',
    [0, 3, 4, 5, 6, 7, 1],
  ],
  'unknown characters of which a byte has no token are one unknown token': [
    { model: unigram({ byte_fallback: true }, '▁', 'a', '<0xC3>', '<0xA9>'), pre_tokenizer: { type: 'Metaspace' } },
    'aéß',
    [0, 3, 4, 2, 1],
  ],
  'accents of every kind are stripped': [
    {
      model: wordPieces('क', 'e'),
      normalizer: { type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] },
      pre_tokenizer: { type: 'WhitespaceSplit' },
    },
    // The vowel sign is a spacing mark.
    'का é e\u20dd',
    [0, 3, 4, 4, 1],
  ],
};

describe('by a tokenizer.json', () => {
  for (const [what, [json, text, ids]] of Object.entries(CASES)) {
    it(what, () => {
      const whole = {
        added_tokens: [],
        normalizer: null,
        pre_tokenizer: null,
        post_processor: START_AND_END,
        decoder: null,
        ...json,
      };
      expect(createTokenizer({ version: '1.0', ...whole }, {}).encode(text, 64).ids).to.deep.equal(ids);
    });
  }
});
