import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { TextItem, VectorResult } from '../../src/models/items.js';
import type { LoadedModel, Outcome } from '../../src/models/model.js';
import { load } from '../../src/models/sentence/model.js';
import { newModel, node, tensor, writeModel } from '../../src/onnx/index.js';
import {
  CONTEXT,
  cosine,
  inRepository,
  inShared,
  modelFiles,
  needsShared,
  OPTIONS,
  readJsonFile,
} from '../support/paths.js';

const TINY = 'models/fixtures/bge-m3-tiny';

type Embedder = LoadedModel<TextItem, VectorResult>;

interface Golden {
  readonly texts: readonly { text: string; token_count?: number; input_ids?: number[]; embedding: number[] }[];
}

const REPOSITORIES = [
  { id: 'Xenova/all-MiniLM-L6-v2', weights: 'onnx/model_quantized.onnx', golden: 'all-MiniLM-L6-v2', least: 0.97 },
  { id: 'fixtures/bge-m3-tiny', weights: 'onnx/sentence_transformers.onnx', golden: 'bge-m3-tiny', least: 0.9999 },
] as const;

const HOSTILE = [
  '',
  ' ',
  '\u200b\u200e\ufeff',
  '👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪',
  'مرحبا بالعالم',
  'a\u0300\u0301\u0302'.repeat(300),
  'x'.repeat(100_000),
  '漢'.repeat(50_000),
  '\u0000\u0001',
  '\ud800 alone',
  ' '.repeat(100_000),
  'word '.repeat(20_000),
];

function item(text: string, options: Partial<TextItem> = {}): TextItem {
  return { type: 'text', text, normalize: true, truncate: true, ...options };
}

function value(outcome: Outcome<VectorResult> | undefined): VectorResult {
  if (outcome?.ok !== true) throw outcome?.error ?? new Error('no outcome');
  return outcome.value;
}

for (const { id, weights, golden, least } of REPOSITORIES) {
  describe(`the sentence embedder with ${id}`, () => {
    let model: Embedder;

    before(async function () {
      needsShared(this, `models/${id}/${weights}`);
      model = await load(modelFiles(id, inShared(`models/${id}`), { model: weights }), OPTIONS);
      await model.warmUp();
    });

    after(async () => {
      await model?.close();
      await model?.close();
    });

    it('returns the reference vectors and token counts', async () => {
      const { texts } = readJsonFile<Golden>(inShared(`golden/${golden}.json`));
      const outcomes = await model.run(
        texts.map(({ text }) => item(text)),
        CONTEXT,
      );
      outcomes.forEach((outcome, index) => {
        const entry = texts[index];
        expect(cosine(value(outcome).vector, entry?.embedding ?? [])).to.be.above(least);
        expect(value(outcome).tokenCount).to.equal(entry?.token_count ?? entry?.input_ids?.length);
        expect(value(outcome).truncated).to.equal(value(outcome).tokenCount === 256);
      });
    });

    it('returns the same vector for a text in any batch, in order', async () => {
      const words = 'a boat on the sea at night with two lamps and an old man'.split(' ');
      const items = Array.from({ length: 40 }, (_, index) => item(words.slice(0, 1 + ((index * 7) % 13)).join(' ')));
      const together = await model.run(items, CONTEXT);
      for (const [index, one] of items.entries()) {
        const alone = value((await model.run([one], CONTEXT))[0]).vector;
        const far = alone.map((number, at) => Math.abs(number - (value(together[index]).vector[at] ?? 9)));
        expect(Math.max(...far)).to.be.below(1e-5);
      }
    });

    it('accepts texts of every kind', async () => {
      const short = HOSTILE.filter((text) => text.length < 5000);
      for (const outcome of await model.run(
        short.map((text) => item(text)),
        CONTEXT,
      )) {
        expect(value(outcome).vector.every(Number.isFinite)).to.equal(true);
      }
      const long = ['word '.repeat(20_000), `a${' '.repeat(300_000)}word`].map((text) =>
        item(text, { truncate: false }),
      );
      const [tokens, characters] = (await model.run(long, CONTEXT)).map((one) => (one.ok ? undefined : one.error));
      expect(tokens?.code).to.equal('TEXT_TOO_LONG');
      expect(tokens?.message).to.match(/^Expected a text of at most \d+ tokens,/);
      expect(characters?.code).to.equal('TEXT_TOO_LONG');
      expect(characters?.message).to.include('at most 262144 characters,');
    });

    it('skips cancelled texts', async () => {
      const signals = [AbortSignal.abort(), new AbortController().signal];
      const outcomes = await model.run([item('one'), item('two')], { ...CONTEXT, signals });
      expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error.code))).to.deep.equal(['CANCELLED', 'ok']);
    });
  });
}

describe('the sentence embedder', () => {
  const dirs: string[] = [];
  after(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true }))));

  /** The repository bge-m3-tiny with these files added, or in place of its own. */
  async function tinyWith(files: Readonly<Record<string, string | Uint8Array>>): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-sentence-'));
    dirs.push(dir);
    const own = (await readdir(inShared(TINY))).filter((name) => !Object.hasOwn(files, name));
    await Promise.all(own.map((name) => symlink(join(inShared(TINY), name), join(dir, name))));
    for (const [name, content] of Object.entries(files)) await writeFile(join(dir, name), content);
    return dir;
  }

  const loadFrom = (dir: string, weights = 'onnx/sentence_transformers.onnx') =>
    load(modelFiles('a/b', dir, { model: weights }), OPTIONS);

  /** Its tokenizer.json without special tokens around a text. */
  const bareTokenizer = () =>
    JSON.stringify({ ...readJsonFile<object>(inShared(`${TINY}/tokenizer.json`)), post_processor: null });

  it("truncates a long text at the repository's limit, and keeps the end token", async function () {
    needsShared(this, 'models/Xenova/all-MiniLM-L6-v2');
    const model = await load(
      modelFiles('Xenova/all-MiniLM-L6-v2', inShared('models/Xenova/all-MiniLM-L6-v2'), {
        model: 'onnx/model_quantized.onnx',
      }),
      OPTIONS,
    );
    const [long, cut] = await model.run([item('word '.repeat(5000)), item('word '.repeat(254))], CONTEXT);
    expect(value(long).tokenCount).to.equal(256);
    expect(value(long).truncated).to.equal(true);
    expect(value(cut).tokenCount).to.equal(256);
    expect(value(cut).truncated).to.equal(false);
    expect([...value(long).vector]).to.deep.equal([...value(cut).vector]);
    const [raw] = await model.run([item('word', { normalize: false })], CONTEXT);
    expect(Math.hypot(...value(raw).vector)).to.be.above(1.5);
    await model.close();
  });

  it('shortens vectors to truncate_dim of config_sentence_transformers.json, before they are scaled', async function () {
    needsShared(this, TINY);
    const vectorsOf = async (dir: string) => {
      const model = await loadFrom(dir);
      const [scaled, raw] = await model.run([item('word'), item('word', { normalize: false })], CONTEXT);
      await model.close();
      return { dimensions: model.facts.dimensions, scaled: value(scaled).vector, raw: value(raw).vector };
    };
    const whole = await vectorsOf(inShared(TINY));
    const { dimensions, scaled, raw } = await vectorsOf(
      await tinyWith({ 'config_sentence_transformers.json': '{"truncate_dim": 8}' }),
    );
    expect(dimensions).to.equal(8);
    expect([...raw]).to.deep.equal([...whole.raw.slice(0, 8)]);
    expect(Math.hypot(...scaled)).to.be.closeTo(1, 1e-6);
  });

  it('refuses a text of no tokens, as an empty one is where the tokenizer adds none', async function () {
    needsShared(this, TINY);
    const model = await loadFrom(await tinyWith({ 'tokenizer.json': bareTokenizer() }));
    const [empty, word] = await model.run([item(''), item('word')], CONTEXT);
    await model.close();
    expect(empty?.ok === false && empty.error.code).to.equal('INVALID_ARGUMENT');
    expect(value(word).vector.every(Number.isFinite)).to.equal(true);
  });

  it('refuses a text with a token that the tokenizer has and the network does not, and needs none of them itself', async function () {
    needsShared(this, TINY);
    const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
    const json = readJsonFile<{ added_tokens: object[]; model: { vocab: unknown[] } }>(
      inShared(`${TINY}/tokenizer.json`),
    );
    const next = json.model.vocab.length;
    const beyond = ['<new>', '<none>', 'warm'];
    json.added_tokens.push(...beyond.map((content, index) => ({ id: next + index, content, ...plain })));
    const tokenizer = { 'tokenizer.json': JSON.stringify(json), 'tokenizer_config.json': '{"pad_token": "<none>"}' };
    const model = await loadFrom(await tinyWith(tokenizer));
    const [refused, ...words] = await model.run(
      ['a <new> word', 'a word', 'a word or'].map((text) => item(text)),
      CONTEXT,
    );
    await model.close();
    expect(refused?.ok === false && refused.error.code).to.equal('INVALID_ARGUMENT');
    expect(refused?.ok === false && refused.error.message).to.include(`got one with token ${next} of its tokenizer`);
    for (const word of words) expect(value(word).vector.every(Number.isFinite)).to.equal(true);
  });

  it('gives a text of a single token the same vector in any batch of a compiled graph', async function () {
    needsShared(this, TINY);
    const size = 256;
    const weights = (count: number) => Float32Array.from({ length: count }, (_, index) => Math.sin(index * index));
    const graph = newModel({
      name: 'single',
      nodes: [
        node('Cast', ['input_ids'], ['floats'], { to: 1 }),
        node('Reshape', ['floats', 'column'], ['ids']),
        node('Mul', ['ids', 'wide'], ['rows']),
        node('MatMul', ['rows', 'square'], ['products']),
        node('Shape', ['attention_mask'], ['dims']),
        node('Concat', ['dims', 'size'], ['shape'], { axis: 0 }),
        node('Reshape', ['products', 'shape'], ['last_hidden_state']),
      ],
      initializers: [
        tensor('column', [2], BigInt64Array.of(-1n, 1n)),
        tensor('size', [1], BigInt64Array.of(BigInt(size))),
        tensor('wide', [size], weights(size)),
        tensor('square', [size, size], weights(size * size)),
      ],
      inputs: ['input_ids', 'attention_mask'].map((name) => ({
        name,
        elementType: 'int64',
        dims: ['batch', 'length'],
      })),
      outputs: [{ name: 'last_hidden_state', elementType: 'float32', dims: ['batch', 'length', size] }],
    });
    const single = writeModel({ ...graph, producer: 'heimdex' });
    const dir = await tinyWith({ 'tokenizer.json': bareTokenizer(), 'single.onnx': single });
    const model = await loadFrom(dir, 'single.onnx');
    const texts = ['a', 'to', 'in'].map((text) => item(text));
    const alone = await Promise.all(texts.map(async (text) => (await model.run([text], CONTEXT))[0]));
    const together = await model.run(texts, CONTEXT);
    await model.close();
    expect(together.map((one) => value(one).tokenCount)).to.deep.equal([1, 1, 1]);
    expect(together).to.deep.equal(alone);
  });

  it('gives a text the same vector in any batch if the graph takes no mask, and so would read padding', async function () {
    needsShared(this, TINY);
    // The ids, less the mean of all of them.
    const graph = newModel({
      name: 'maskless',
      nodes: [
        node('Cast', ['input_ids'], ['ids'], { to: 1 }),
        node('ReduceMean', ['ids'], ['mean'], { axes: [1] }),
        node('Sub', ['ids', 'mean'], ['less']),
        node('Reshape', ['less', 'shape'], ['last_hidden_state']),
      ],
      initializers: [tensor('shape', [3], BigInt64Array.of(0n, -1n, 1n))],
      inputs: [{ name: 'input_ids', elementType: 'int64', dims: ['batch', 'length'] }],
      outputs: [{ name: 'last_hidden_state', elementType: 'float32', dims: ['batch', 'length', 1] }],
    });
    const model = await loadFrom(await tinyWith({ 'maskless.onnx': writeModel(graph) }), 'maskless.onnx');
    const texts = ['a word', 'a word.'].map((text) => item(text, { normalize: false }));
    const alone = await Promise.all(texts.map(async (text) => value((await model.run([text], CONTEXT))[0]).vector));
    expect((await model.run(texts, CONTEXT)).map((outcome) => value(outcome).vector)).to.deep.equal(alone);
    await model.close();
  });

  it('rejects weights that are not a text encoder', async () => {
    const dir = inRepository('demo/models/heimdex/siglip-pocket');
    for (const weights of [{ model: 'onnx/vision_model.onnx' }, {}]) {
      let said = '';
      await load(modelFiles('x/y', dir, weights), OPTIONS).catch((error: unknown) => {
        said = String(error);
      });
      expect(said).to.match(/to take input_ids|weights named model/);
    }
  });
});
