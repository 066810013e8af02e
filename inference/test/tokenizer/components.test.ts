import { expect } from 'chai';
import type { JsonObject } from '../../src/json.js';
import { createTokenizer } from '../../src/tokenizer/index.js';

const START_AND_END = { type: 'BertProcessing', cls: ['<s>', 0], sep: ['</s>', 1] };

/** A character map that leaves out U+0001 alone: a trie of 256 nodes, and its only replacement. */
const WITHOUT_0001 = Buffer.concat([
  Buffer.from('0004000000000000010d000000000080', 'hex'),
  Buffer.alloc(1013),
]).toString('base64');

/** Ids in the order of the pieces, the first three special. */
function vocabulary(...pieces: readonly string[]): Record<string, number> {
  return Object.fromEntries(['<s>', '</s>', '<unk>', ...pieces].map((piece, id) => [piece, id]));
}

function added(content: string, id: number, more: JsonObject = {}): JsonObject {
  return { id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...more };
}

function pairs(pieces: readonly string[], merges: readonly string[], more: JsonObject = {}): JsonObject {
  return { type: 'BPE', unk_token: '<unk>', fuse_unk: false, vocab: vocabulary(...pieces), merges, ...more };
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
  'byte pairs find an added word only as a whole word': [
    {
      model: pairs(['f', 'o', 'Ġ'], []),
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      added_tokens: [added('foo', 6, { single_word: true })],
    },
    'foo foof',
    [0, 6, 5, 3, 4, 4, 3, 1],
  ],
  "an added whole word has signs and fractions beside it, but no circled letters, joiners or connectors: Rust's \\w": [
    {
      model: wordPieces('½', 'ⓐ', '‿', '\u200d'),
      pre_tokenizer: { type: 'FixedLength', length: 1 },
      added_tokens: [added('1', 7, { single_word: true })],
    },
    '1½1ⓐ1‿1\u200d1½',
    [0, 7, 3, 2, 4, 2, 5, 2, 6, 2, 3, 1],
  ],
  'an added token that begins with the space that the one before it takes is found too': [
    {
      model: wordPieces('x'),
      pre_tokenizer: { type: 'WhitespaceSplit' },
      added_tokens: [added('.', 4, { rstrip: true }), added(' x', 5)],
    },
    '. x',
    [0, 4, 5, 1],
  ],
  'a vocabulary without pieces inside a word has whole words alone': [
    { model: wordPieces('ab', 'c'), pre_tokenizer: { type: 'WhitespaceSplit' } },
    'ab abc c',
    [0, 3, 2, 4, 1],
  ],
  'an added token that the one before it takes as a space is not found again': [
    {
      model: wordPieces('x'),
      pre_tokenizer: { type: 'WhitespaceSplit' },
      added_tokens: [added('\n', 4, { lstrip: true, rstrip: true })],
    },
    'x\n\n x',
    [0, 3, 4, 3, 1],
  ],
  'an added token that the one before it takes as a space is found again if it takes no spaces before it': [
    {
      model: wordPieces('x'),
      pre_tokenizer: { type: 'WhitespaceSplit' },
      added_tokens: [added('\n', 4, { rstrip: true })],
    },
    'x\n\n x',
    [0, 3, 4, 4, 3, 1],
  ],
  'the unknown piece is itself in a text, not its bytes': [
    { model: unigram({ byte_fallback: true }, '<0x3C>', '<0x75>', '<0x6E>', '<0x6B>', '<0x3E>') },
    '<unk>',
    [0, 2, 1],
  ],
  'byte pairs merge unknown characters within a word, not across words': [
    { model: pairs(['a'], [], { fuse_unk: true }), pre_tokenizer: { type: 'WhitespaceSplit' } },
    'xy x a',
    [0, 2, 2, 3, 1],
  ],
  'byte pairs leave out what has no token': [
    { model: pairs(['a'], [], { unk_token: null }), pre_tokenizer: { type: 'WhitespaceSplit' } },
    'xa x',
    [0, 3, 1],
  ],
  'byte pairs merge around what has no token': [
    {
      model: pairs(['a', 'b', 'ab'], ['a b'], { unk_token: null }),
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    },
    'aéb',
    [0, 5, 1],
  ],
  'byte pairs that end a word merge around what has no token': [
    {
      model: pairs(['a', 'b</w>', 'ab</w>'], ['a b</w>'], { unk_token: null, end_of_word_suffix: '</w>' }),
      pre_tokenizer: { type: 'WhitespaceSplit' },
    },
    'axb bab ax',
    [0, 5, 5, 3, 1],
  ],
  'byte pairs have pieces of their own inside a word': [
    {
      model: pairs(['a', '##b', '##c', 'ab', '##bc'], ['##b ##c', 'a ##b'], { continuing_subword_prefix: '##' }),
      pre_tokenizer: { type: 'WhitespaceSplit' },
    },
    'abc ab cab',
    [0, 3, 7, 6, 2, 2, 4, 1],
  ],
  'the bytes of a character are merged as other pieces are': [
    { model: pairs(['<0xC3>', '<0xA9>', '<0xC3><0xA9>'], ['<0xC3> <0xA9>'], { byte_fallback: true }) },
    'é',
    [0, 5, 1],
  ],
  'an unknown character comes behind the bytes of those behind it, as in the library': [
    { model: pairs(['<0xC3>', '<0xA9>', 'a'], [], { byte_fallback: true }) },
    'xéayé',
    [0, 3, 4, 2, 5, 3, 4, 2, 1],
  ],
  'a piece that is also the unknown one is not merged with unknown characters': [
    { model: pairs(['a'], [], { unk_token: 'a', fuse_unk: true }), pre_tokenizer: { type: 'WhitespaceSplit' } },
    'aaxya',
    [0, 3, 3, 3, 3, 1],
  ],
  'byte pairs have no final sigma in lower case': [
    {
      model: pairs(['σ', 'ς', 'ο'], []),
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'WhitespaceSplit' },
    },
    'ΟΣ ς',
    [0, 5, 3, 4, 1],
  ],
  'special tokens are added by each of several post-processors': [
    {
      model: wordPieces('a'),
      pre_tokenizer: { type: 'BertPreTokenizer' },
      post_processor: {
        type: 'Sequence',
        processors: [
          { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
          START_AND_END,
        ],
      },
    },
    'a ΟΣ',
    [0, 3, 2, 1],
  ],
  'words are tokens': [
    {
      model: { type: 'WordLevel', unk_token: '<unk>', vocab: vocabulary('hello', 'constructor') },
      pre_tokenizer: { type: 'Whitespace' },
    },
    'hello world constructor toString',
    [0, 3, 2, 4, 2, 1],
  ],
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
  'only a text that begins with its first word is marked there': [
    {
      model: unigram({}, '▁', 'a'),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' }],
      },
    },
    ' a',
    [0, 4, 1],
  ],
  'a text is not marked behind spaces that are stripped': [
    {
      model: unigram({}, '▁', 'a'),
      normalizer: { type: 'Strip', strip_left: true, strip_right: true },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    },
    ' a',
    [0, 4, 1],
  ],
  'a text is not marked behind signs that are replaced by nothing': [
    {
      model: unigram({}, '▁', 'a'),
      normalizer: { type: 'Replace', pattern: { String: '#' }, content: '' },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    },
    '##a',
    [0, 4, 1],
  ],
  'a text is not marked where its first two characters are replaced as one': [
    {
      model: unigram({}, '▁', 'a', 'x'),
      normalizer: { type: 'Replace', pattern: { String: 'th' }, content: 'x' },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    },
    'tha',
    [0, 5, 4, 1],
  ],
  'a text is marked behind characters that a character map leaves out': [
    {
      model: unigram({}, '▁', 'a'),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Precompiled', precompiled_charsmap: WITHOUT_0001 },
          { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' },
        ],
      },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    },
    '\u0001a',
    [0, 3, 4, 1],
  ],
  'a text is marked where none are': [
    {
      model: unigram({}, '▁', 'a'),
      normalizer: { type: 'Strip', strip_left: true, strip_right: true },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first' },
    },
    'a ',
    [0, 3, 4, 1],
  ],
  "control characters are left out or become spaces, as in SentencePiece's nmt": [
    { model: wordPieces('ab', 'c'), normalizer: { type: 'Nmt' }, pre_tokenizer: { type: 'WhitespaceSplit' } },
    'a\u0001\u009fb\u200bc\ufeffab\u2581c\ufffdc\n\u0085\u000b',
    [0, 3, 4, 3, 4, 4, 1],
  ],
  'the letters of bytes are words': [
    { model: wordPieces('aÃ©Ġb'), normalizer: { type: 'ByteLevel' }, pre_tokenizer: { type: 'WhitespaceSplit' } },
    'aé b',
    [0, 3, 1],
  ],
  'an expression of the start or the end alone is found there alone, not within an emoji': [
    {
      model: pairs(['^', '😀', 'a'], []),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Replace', pattern: { Regex: '^' }, content: '^' },
          { type: 'Replace', pattern: { Regex: '\\z' }, content: 'a' },
        ],
      },
    },
    '😀a😀',
    [0, 3, 4, 5, 4, 5, 1],
  ],
  'the content of a replacement is taken as it is': [
    {
      model: wordPieces('$&', 'x'),
      normalizer: { type: 'Replace', pattern: { String: 'x' }, content: '$&' },
      pre_tokenizer: { type: 'WhitespaceSplit' },
    },
    'x',
    [0, 3, 1],
  ],
  ...Object.fromEntries(
    (
      [
        ['Removed', false, ['ab', 'c'], [3, 4]],
        ['Isolated', false, ['ab', '-', 'c'], [3, 4, 4, 5]],
        ['Contiguous', false, ['ab', '--', 'c'], [3, 4, 5]],
        ['MergedWithPrevious', false, ['ab-', '-', 'c'], [3, 4, 5]],
        ['MergedWithNext', false, ['ab', '-', '-c'], [3, 4, 5]],
        ['Removed', true, ['-'], [3, 3]],
        ['MergedWithPrevious', true, ['ab', '-', '-c'], [3, 4, 5]],
      ] as const
    ).map(([behavior, invert, pieces, ids]) => [
      `words are split at a pattern: ${behavior}${invert ? ', inverted' : ''}`,
      [
        {
          model: wordPieces(...pieces),
          pre_tokenizer: { type: 'Split', pattern: { Regex: '-' }, behavior, invert },
        },
        'ab--c',
        [0, ...ids, 1],
      ],
    ]),
  ),
  'words are split at punctuation: MergedWithPrevious': [
    {
      model: wordPieces('a,', 'b'),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Punctuation', behavior: 'MergedWithPrevious' }],
      },
    },
    'a,b',
    [0, 3, 4, 1],
  ],
  'a match without characters divides a text, but not right behind another match': [
    {
      model: wordPieces('Xb', 'X-', 'X'),
      normalizer: { type: 'Replace', pattern: { Regex: 'a*' }, content: 'X' },
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(?=X)' }, behavior: 'Contiguous', invert: false },
    },
    'aab-',
    [0, 3, 4, 5, 1],
  ],
  'words are split at a character': [
    { model: wordPieces('a b', 'c'), pre_tokenizer: { type: 'CharDelimiterSplit', delimiter: '-' } },
    'a b-c',
    [0, 3, 4, 1],
  ],
  'spaces are replaced without a division at them': [
    {
      model: pairs(['▁', 'a', 'b', 'a▁', 'a▁b'], ['a ▁', 'a▁ b']),
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: false },
    },
    'a b',
    [0, 3, 7, 1],
  ],
  ...Object.fromEntries(
    (
      [
        [pairs(['a', 'b', 'ab'], ['a b']), [5, 4]],
        [wordPieces('a', '##b'), [3, 4, 2]],
        [unigram({}, 'ab', 'b'), [3, 4]],
        [{ type: 'WordLevel', unk_token: '<unk>', vocab: vocabulary('ab') }, [3, 2]],
      ] as const
    ).map(([{ type, ...model }, ids]) => [
      `an old file that does not name its model is known by its fields: ${type}`,
      [{ model, pre_tokenizer: { type: 'WhitespaceSplit' } }, 'ab b', [0, ...ids, 1]],
    ]),
  ),
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

  it('padding is found among the pieces, where it is no added token', () => {
    const json = { model: unigram({}, 'a', '<pad>'), pre_tokenizer: null, post_processor: null };
    expect(['<pad>', 'b'].map((token) => createTokenizer(json, { pad_token: token }).padId)).to.deep.equal([
      4,
      undefined,
    ]);
  });

  it('with a part that is not supported nothing is tokenized, and the error names the part', () => {
    const json = { model: wordPieces('a'), pre_tokenizer: { type: 'UnicodeScripts' }, post_processor: null };
    expect(() => createTokenizer(json, {})).to.throw('a supported pre_tokenizer, got {"type":"UnicodeScripts"}');
    const replaced = { normalizer: { type: 'Replace', pattern: { String: '#' }, content: '' }, pre_tokenizer: null };
    expect(() =>
      createTokenizer({ ...json, ...replaced, added_tokens: [added('##', 4, { normalized: true })] }, {}),
    ).to.throw('whose normalizer leaves something of each added token, got "##"');
    // Where the text began is known behind parts that take it as it is.
    for (const [type, refused] of [
      ['Digits', false],
      ['ByteLevel', true],
    ] as const) {
      const pretokenizers = [{ type }, { type: 'Metaspace', prepend_scheme: 'first' }];
      const create = () => createTokenizer({ ...json, pre_tokenizer: { type: 'Sequence', pretokenizers } }, {});
      if (refused) expect(create).to.throw('a supported pre_tokenizer, got {"type":"Sequence"');
      else expect(create).to.not.throw();
    }
  });
});
