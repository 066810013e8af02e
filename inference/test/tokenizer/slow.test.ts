import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { expect } from 'chai';
import type { JsonObject } from '../../src/json.js';
import { createTokenizer, readTokenizerJson } from '../../src/tokenizer/index.js';
import { inRepository, inShared, needsShared, readJsonFile } from '../support/paths.js';

const TEXTS = [
  'Hello, world!',
  '안녕하세요, 여러분. 오늘은 날씨가 좋네요.',
  '東京 Straße  two  spaces\n new, CAFÉ',
  "don't <|en|> x [CLS] [MASK]",
  '<|0.00|> a<|2.00|>',
  '🙂 ♪♪♪',
  '',
  ' leading',
  'a'.repeat(150),
];

interface FastTokenizer extends JsonObject {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly merges: readonly (string | string[])[] };
  readonly added_tokens: readonly { readonly content: string; readonly id: number }[];
}

describe('a tokenizer without tokenizer.json', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-tokenizer-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const write = (name: string, text: string) => writeFile(join(dir, name), text);
  const problem = (settings: JsonObject = {}) =>
    readTokenizerJson(dir, settings).then(String, (error: Error) => error.message);

  it('is the same from vocab.json, merges.txt and added_tokens.json: Whisper', async function () {
    const path = 'models/onnx-community/whisper-base_timestamped/tokenizer.json';
    needsShared(this, path);
    const fast = readJsonFile<FastTokenizer>(inShared(path));
    const { vocab, merges } = fast.model;
    await write('vocab.json', JSON.stringify(vocab));
    await write('merges.txt', ['#version: 0.2', ...merges.map((pair) => [pair].flat().join(' ')), ''].join('\n'));
    const added = fast.added_tokens.filter(({ content }) => !(content in vocab));
    await write('added_tokens.json', JSON.stringify(Object.fromEntries(added.map(({ content, id }) => [content, id]))));
    const slow = await readTokenizerJson(dir, {});
    expect(slow.added_tokens).to.deep.equal(fast.added_tokens);
    const bare = { ...fast, post_processor: null };
    const [one, other] = [createTokenizer(slow, {}), createTokenizer(bare, {})];
    for (const text of TEXTS) expect(one.encode(text, 448), text).to.deep.equal(other.encode(text, 448));
  });

  it('is the same from vocab.txt: BERT', async function () {
    const path = 'models/Xenova/all-MiniLM-L6-v2/tokenizer.json';
    needsShared(this, path);
    const fast = readJsonFile<FastTokenizer>(inShared(path));
    const words = Object.entries(fast.model.vocab).sort(([, one], [, other]) => one - other);
    await write('vocab.txt', `${words.map(([word]) => word).join('\n')}\n`);
    const settings = { do_lower_case: true, tokenizer_class: 'BertTokenizer', pad_token: '[PAD]' };
    const one = createTokenizer(await readTokenizerJson(dir, settings), settings);
    const other = createTokenizer(fast, settings);
    expect(one.padId).to.equal(other.padId);
    for (const text of TEXTS) expect(one.encode(text, 128), text).to.deep.equal(other.encode(text, 128));
  });

  it('is the same from spiece.model: SigLIP', async () => {
    const pocket = inRepository('demo/models/heimdex/siglip-pocket');
    await copyFile(join(pocket, 'spiece.model'), join(dir, 'spiece.model'));
    const settings = readJsonFile<JsonObject>(join(pocket, 'tokenizer_config.json'));
    const fast = readJsonFile<JsonObject>(join(pocket, 'tokenizer.json'));
    const slow = await readTokenizerJson(dir, settings);
    expect(slow.added_tokens).to.deep.equal(fast.added_tokens);
    const [one, other] = [createTokenizer(slow, settings), createTokenizer(fast, settings)];
    expect(one.padId).to.equal(other.padId);
    for (const text of [...TEXTS, 'An Elephant, in (the) room!', ' ﬁne ½ ① Ａｂｃ\t#tag_x '])
      expect(one.encode(text, 64), text).to.deep.equal(other.encode(text, 64));
    const { added_tokens_decoder: _, ...bare } = settings;
    const ids = createTokenizer(await readTokenizerJson(dir, bare), bare).encode('a face', 64);
    expect(ids).to.deep.equal(other.encode('a face', 64));
  });

  it('reads special tokens in a text as SiglipTokenizer of transformers 5.24 does, from spiece.model', async () => {
    const pocket = inRepository('demo/models/heimdex/siglip-pocket');
    await copyFile(join(pocket, 'spiece.model'), join(dir, 'spiece.model'));
    const settings = readJsonFile<JsonObject>(join(pocket, 'tokenizer_config.json'));
    const tokenizer = createTokenizer(await readTokenizerJson(dir, settings), settings, { lowerCase: true });
    // Only a text's own start is marked, and its own end is its end.
    for (const [text, ids] of [
      ['a </s> b', [3, 1, 231, 1]],
      [' a</s>  ', [3, 1]],
      ['</s>', [1]],
      ['!!a <unk> ', [3, 2, 1]],
      ['<pad> a', [0, 75, 1]],
      ['A </S> b', [3, 50, 128, 1]],
    ] as const)
      expect(tokenizer.encode(text, 64), text).to.deep.equal({ ids, truncated: false });
    expect(tokenizer.encode('a </s> b', 3)).to.deep.equal({ ids: [3, 1], truncated: true });
  });

  it('has tokens for the bytes of unknown characters if spiece.model has byte_fallback: SigLIP', async () => {
    const pieces = ['<unk>', '</s>', '▁', 'a', '<0xC3>', '<0xA9>'].map((piece) =>
      new BinaryWriter().tag(1, WireType.LengthDelimited).string(piece).finish(),
    );
    for (const [byteFallback, ids] of [
      [true, [2, 3, 4, 5, 1]],
      [false, [2, 3, 0, 1]],
    ] as const) {
      const model = new BinaryWriter();
      for (const piece of pieces) model.tag(1, WireType.LengthDelimited).bytes(piece);
      const trainer = new BinaryWriter().tag(35, WireType.Varint).bool(byteFallback).finish();
      await writeFile(join(dir, 'spiece.model'), model.tag(2, WireType.LengthDelimited).bytes(trainer).finish());
      const settings = { tokenizer_class: 'SiglipTokenizer', unk_token: '<unk>' };
      expect(createTokenizer(await readTokenizerJson(dir, settings), settings).encode('aé', 64).ids).to.deep.equal(ids);
    }
  });

  it('is an error that names a spiece.model that is damaged or of another kind', async () => {
    for (const bytes of ['', 'hello', '\u00ff'.repeat(50), '\x12\x02\x18\x02']) {
      await write('spiece.model', bytes);
      expect(await problem()).to.match(/spiece\.model to be a SentencePiece model/);
    }
  });

  it('keeps capitals and accents if tokenizer_config.json says so', async () => {
    await write('vocab.txt', ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'É', 'e'].join('\r\n'));
    const ids = async (settings: JsonObject) =>
      createTokenizer(await readTokenizerJson(dir, settings), settings).encode('É', 8).ids;
    expect(await ids({ do_lower_case: false })).to.deep.equal([2, 5, 3]);
    expect(await ids({})).to.deep.equal([2, 6, 3]);
    expect(await ids({ strip_accents: false })).to.deep.equal([2, 1, 3]);
  });

  it('has the tokens that tokenizer_config.json declares', async () => {
    await write('vocab.json', '{"a": 0, "<|endoftext|>": 1, "constructor": 3}');
    await write('merges.txt', '#version: 0.2\n');
    const token = { content: '<|ko|>', special: true, normalized: false };
    const { added_tokens } = await readTokenizerJson(dir, { added_tokens_decoder: { '2': token } });
    const tokens = (added_tokens as FastTokenizer['added_tokens']).map(({ content, id }) => [content, id]);
    expect(tokens).to.deep.equal([
      ['<|endoftext|>', 1],
      ['<|ko|>', 2],
    ]);
  });

  it('has the words of added_tokens.json: BERT', async () => {
    await write('vocab.txt', ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', 'a'].join('\n'));
    await write('added_tokens.json', '{"Kimchi": 6, "제곱": 7, "a": 5}');
    const tokenizer = createTokenizer(await readTokenizerJson(dir, {}), {});
    expect(tokenizer.encode('a kimchi 제곱', 8).ids).to.deep.equal([2, 5, 6, 7, 3]);
  });

  it('is an error that says what is missing', async () => {
    expect(await problem()).to.equal(`Expected ${dir} to have a tokenizer.json.`);
    await write('vocab.txt', '[PAD]\n[CLS]\na\n');
    expect(await problem()).to.equal('Expected vocab.txt to have [UNK] and [SEP].');
  });

  it('is refused if it splits words in another way', async () => {
    await write('vocab.txt', '[PAD]\n[UNK]\n[CLS]\n[SEP]\n');
    expect(await problem({ tokenizer_class: 'BertJapaneseTokenizer' })).to.include('a BertJapaneseTokenizer');
    for (const tokenizer_class of ['BertTokenizerFast', 'DistilBertTokenizer'])
      expect(await problem({ tokenizer_class })).to.equal('[object Object]');
  });
});
