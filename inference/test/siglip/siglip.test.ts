import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { ImageItem, TextItem, VectorResult } from '../../src/models/items.js';
import type { LoadedModel, Outcome } from '../../src/models/model.js';
import { load } from '../../src/models/siglip/model.js';
import { Tower } from '../../src/models/siglip/tower.js';
import { newModel, node, writeModel } from '../../src/onnx/index.js';
import { CONTEXT, cosine, inRepository, modelFiles, OPTIONS, readJsonFile } from '../support/paths.js';

const DIR = inRepository('demo/models/heimdex/siglip-pocket');
const IMAGES = inRepository('demo/samples/images');
const FLOAT = { vision: 'onnx/vision_model.onnx', text: 'onnx/text_model.onnx' };
/** Of ONNX. */
const FLOAT_TYPE = 1;
const INT8 = { vision: 'onnx/vision_model_quantized.onnx', text: 'onnx/text_model_quantized.onnx' };

interface Golden {
  readonly texts: readonly { text: string; input_ids: number[]; embedding: number[] }[];
  readonly images: readonly { file: string; embedding: number[] }[];
}

type Siglip = LoadedModel<ImageItem | TextItem, VectorResult>;

function open(weights: Readonly<Record<string, string>>): Promise<Siglip> {
  return load(modelFiles('heimdex/siglip-pocket', DIR, weights), OPTIONS);
}

function text(words: string, truncate = true): TextItem {
  return { type: 'text', text: words, normalize: true, truncate };
}

async function imageItem(path: string): Promise<ImageItem> {
  return { type: 'image', content: await readFile(path), normalize: true };
}

function value(outcome: Outcome<VectorResult> | undefined): VectorResult {
  if (outcome?.ok !== true) throw outcome?.error ?? new Error('no outcome');
  return outcome.value;
}

function code(outcome: Outcome<VectorResult> | undefined): string {
  return outcome?.ok === false ? outcome.error.code : 'ok';
}

describe('SigLIP', () => {
  const golden = readJsonFile<Golden>(`${DIR}/golden.json`);
  let float: Siglip;
  let int8: Siglip;

  before(async () => {
    float = await open(FLOAT);
    int8 = await open(INT8);
  });

  after(async () => {
    await float.close();
    await int8.close();
    await float.close();
  });

  it('reports its dimensions and whether items share a run', () => {
    expect(float.facts.dimensions).to.equal(192);
    expect(float.facts.batching.shared).to.equal(true);
    expect(int8.facts.batching.shared).to.equal(true);
    expect(int8.facts.batching.reason).to.contain('items share a run');
  });

  it('returns the reference vectors of texts', async () => {
    for (const [model, least] of [
      [float, 0.9999],
      [int8, 0.97],
    ] as const) {
      const outcomes = await model.run(
        golden.texts.map((entry) => text(entry.text)),
        CONTEXT,
      );
      outcomes.forEach((outcome, index) => {
        const { vector, tokenCount } = value(outcome);
        const entry = golden.texts[index];
        expect(cosine(vector, entry?.embedding ?? [])).to.be.above(least);
        expect(tokenCount).to.equal((entry?.input_ids.indexOf(1) ?? 0) + 1);
      });
    }
  });

  it('returns the reference vectors of images', async () => {
    const items = await Promise.all(golden.images.map((entry) => imageItem(`${DIR}/${entry.file}`)));
    for (const [model, least] of [
      [float, 0.9999],
      [int8, 0.97],
    ] as const) {
      const outcomes = await model.run(items, CONTEXT);
      outcomes.forEach((outcome, index) => {
        expect(cosine(value(outcome).vector, golden.images[index]?.embedding ?? [])).to.be.above(least);
      });
    }
  });

  it('returns vectors normalized or unchanged', async () => {
    const [scaled, raw] = await float.run([text('pizza'), { ...text('pizza'), normalize: false }], CONTEXT);
    expect(Math.hypot(...value(scaled).vector)).to.be.closeTo(1, 1e-6);
    expect(Math.hypot(...value(raw).vector)).to.be.above(1.5);
    expect(cosine(value(scaled).vector, value(raw).vector)).to.be.closeTo(1, 1e-6);
  });

  it('returns the same vector for an item in any batch', async () => {
    const texts = golden.texts.map((entry) => text(entry.text));
    const images = await Promise.all(golden.images.map((entry) => imageItem(`${DIR}/${entry.file}`)));
    for (const model of [float, int8]) {
      for (const items of [texts, images]) {
        const together = await model.run(items, CONTEXT);
        for (const [index, item] of items.entries()) {
          const [alone] = await model.run([item], CONTEXT);
          const pairs = value(alone).vector.map((number, at) =>
            Math.abs(number - (value(together[index]).vector[at] ?? 9)),
          );
          expect(Math.max(...pairs)).to.be.below(1e-5);
        }
      }
    }
  });

  it('finds images by words as in the model card', async () => {
    const names = readJsonFile<Record<string, { label: string; rank: number }>>(`${IMAGES}/names.json`);
    const files = Object.keys(names);
    for (const model of [float, int8]) {
      const images = await model.run(await Promise.all(files.map((file) => imageItem(`${IMAGES}/${file}`))), CONTEXT);
      const labels = await model.run(
        files.map((file) => text(names[file]?.label ?? '')),
        CONTEXT,
      );
      const ranks = labels.map((label, index) => {
        const scores = images.map((image) => cosine(value(label).vector, value(image).vector));
        return scores.filter((score) => score > (scores[index] ?? 9)).length + 1;
      });
      const off = files.filter((file, index) => (names[file]?.rank === 1) !== (ranks[index] === 1));
      expect(off.length, off.join(', ')).to.be.at.most(1);
    }
  });

  it('rejects a run for a defect in an image decoded ahead, and leaves no rejection unhandled', async () => {
    const good = await imageItem(`${IMAGES}/01-red-heart.png`);
    const defect = { type: 'image', content: undefined, normalize: true } as unknown as ImageItem;
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    // Mocha would treat it as a failure of another test.
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection').on('unhandledRejection', note);
    try {
      const items = [...Array.from({ length: 8 }, () => good), defect];
      const error = await float.run(items, CONTEXT).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(TypeError);
      expect(unhandled).to.deep.equal([]);
    } finally {
      process.off('unhandledRejection', note);
      for (const listener of others) process.on('unhandledRejection', listener);
    }
  });

  it('reports a broken image without failing the others', async () => {
    const good = await imageItem(`${IMAGES}/01-red-heart.png`);
    const bad = (content: Uint8Array): ImageItem => ({ type: 'image', content, normalize: true });
    const broken = [Buffer.from('no image'), good.content.subarray(0, 500), new Uint8Array()].map(bad);
    const outcomes = await float.run([...broken, good], CONTEXT);
    expect(outcomes.map(code)).to.deep.equal(['IMAGE_UNREADABLE', 'IMAGE_UNREADABLE', 'IMAGE_UNREADABLE', 'ok']);
    const small = await load(modelFiles('x/y', DIR, FLOAT), { ...OPTIONS, maxImagePixels: 1000 });
    expect(code((await small.run([good], CONTEXT))[0])).to.equal('IMAGE_TOO_LARGE');
    await small.close();
  });

  it('accepts texts of every kind', async () => {
    const texts = [
      '',
      ' ',
      '👩‍👩‍👧‍👦',
      '\u200b\u200e',
      'שלום',
      'word '.repeat(1000),
      'x'.repeat(100_000),
      'é'.repeat(500),
      '\ud800',
    ];
    const outcomes = await float.run(
      texts.map((words) => text(words)),
      CONTEXT,
    );
    for (const outcome of outcomes) {
      expect(value(outcome).vector.every(Number.isFinite)).to.equal(true);
      expect(value(outcome).tokenCount).to.be.within(1, 64);
    }
    expect(outcomes.map((outcome) => value(outcome).truncated).indexOf(true)).to.equal(5);
    expect(value(outcomes[5]).tokenCount).to.equal(64);
  });

  it('rejects a longer text without truncation', async () => {
    const long = 'pizza '.repeat(80);
    const outcomes = await float.run([text(long, false), text('pizza', false)], CONTEXT);
    expect(outcomes.map(code)).to.deep.equal(['TEXT_TOO_LONG', 'ok']);
    expect(outcomes[0]?.ok === false && outcomes[0].error.message).to.contain('at most 64 tokens');
  });

  it('refuses a text with a token that the tokenizer has and the tower does not, alone, whatever the word', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-beyond-'));
    for (const name of ['config.json', 'tokenizer_config.json']) await copyFile(join(DIR, name), join(dir, name));
    await copyFile(join(DIR, FLOAT.text), join(dir, 'text.onnx'));
    const json = readJsonFile<{ added_tokens: object[] }>(`${DIR}/tokenizer.json`);
    json.added_tokens.push({ id: 5000, content: 'warm', special: true });
    await writeFile(join(dir, 'tokenizer.json'), JSON.stringify(json));
    const model = await load(modelFiles('a/b', dir, { text: 'text.onnx' }), OPTIONS);
    const outcomes = await model.run([text('a warm pizza'), text('pizza')], CONTEXT);
    await model.close();
    expect(outcomes.map(code)).to.deep.equal(['INVALID_ARGUMENT', 'ok']);
    expect(model.facts.dimensions).to.equal(float.facts.dimensions);
    await rm(dir, { recursive: true });
  });

  it('skips cancelled items', async () => {
    const gone = AbortSignal.abort();
    const there = new AbortController().signal;
    const image = await imageItem(`${IMAGES}/03-pizza.jpg`);
    for (const items of [
      [text('pizza'), text('dog')],
      [image, image],
    ]) {
      const outcomes = await float.run(items, { ...CONTEXT, signals: [gone, there] });
      expect(outcomes.map(code)).to.deep.equal(['CANCELLED', 'ok']);
    }
  });

  it('loads a single tower', async () => {
    const vision = await open({ vision: FLOAT.vision });
    const words = await open({ text: FLOAT.text });
    const image = await imageItem(`${IMAGES}/03-pizza.jpg`);
    const codes = async (model: Siglip, item: ImageItem | TextItem) => (await model.run([item], CONTEXT)).map(code);
    expect([await codes(vision, image), await codes(vision, text('pizza'))]).to.deep.equal([
      ['ok'],
      ['FEATURE_DISABLED'],
    ]);
    expect([await codes(words, image), await codes(words, text('pizza'))]).to.deep.equal([
      ['FEATURE_DISABLED'],
      ['ok'],
    ]);
    await vision.warmUp();
    await words.warmUp();
    await vision.close();
    await words.close();
  });

  it('reads the recipe for images in each form that repositories have it', async () => {
    const recipe = readJsonFile<object>(`${DIR}/preprocessor_config.json`);
    const resize = { type: 'resize', size: [96, 96], interpolation: 'bicubic' };
    const stages = [resize, { type: 'to_tensor' }, { type: 'normalize', mean: [0.5], std: [0.5] }];
    const image = await imageItem(`${IMAGES}/03-pizza.jpg`);
    const expected = value((await float.run([image], CONTEXT))[0]).vector;
    for (const [name, content] of [
      ['processor_config.json', { image_processor: recipe, processor_class: 'SiglipProcessor' }],
      ['preprocessor.json', { stages }],
    ] as const) {
      const dir = await mkdtemp(join(tmpdir(), 'heimdex-siglip-'));
      await mkdir(join(dir, 'model'));
      await copyFile(`${DIR}/${FLOAT.vision}`, join(dir, 'model', 'image_encode.onnx'));
      await writeFile(join(dir, 'model', name), JSON.stringify(content));
      const model = await load(modelFiles('x/y', dir, { vision: 'model/image_encode.onnx' }), OPTIONS);
      expect([...value((await model.run([image], CONTEXT))[0]).vector], name).to.deep.equal([...expected]);
      await model.close();
      // A recipe that is not followed would not be noticed above where it says what is usual.
      const other = JSON.stringify(content).replace('bicubic', 'box').replace('"resample":3', '"resample":4');
      await writeFile(join(dir, 'model', name), other);
      const otherwise = await load(modelFiles('x/y', dir, { vision: 'model/image_encode.onnx' }), OPTIONS);
      expect([...value((await otherwise.run([image], CONTEXT))[0]).vector]).to.not.deep.equal([...expected]);
      await otherwise.close();
      await rm(dir, { recursive: true });
    }
  });

  it('reads the padding of a text also where its tower takes a mask, as it was trained', async () => {
    const dims = ['texts', 'length'];
    const model = newModel({
      name: 'masked',
      nodes: [
        node('Mul', ['input_ids', 'attention_mask'], ['read']),
        node('Cast', ['read'], ['pooler_output'], { to: FLOAT_TYPE }),
      ],
      initializers: [],
      inputs: ['input_ids', 'attention_mask'].map((name) => ({ name, elementType: 'int64', dims })),
      outputs: [{ name: 'pooler_output', elementType: 'float32', dims }],
    });
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-siglip-'));
    await writeFile(join(dir, 'text.onnx'), writeModel(model));
    const tower = await Tower.open(join(dir, 'text.onnx'), 'input_ids', OPTIONS);
    const vectors = await tower.run(BigInt64Array.of(5n, 6n, 1n, 7n, 1n, 1n), [2, 3]);
    expect(vectors.map((vector) => [...vector])).to.deep.equal([
      [5, 6, 1],
      [7, 1, 1],
    ]);
    await tower.close();
    await rm(dir, { recursive: true });
  });

  it('rejects weights that are not such a tower', async () => {
    const attempts = [
      [{}, /weights named vision or text/],
      [{ vision: FLOAT.text }, /to take pixel_values, got input_ids/],
      [{ text: FLOAT.vision }, /to take input_ids, got pixel_values/],
      [{ vision: 'config.json' }, /./],
    ] as const;
    for (const [weights, message] of attempts) {
      let said = '';
      await open(weights).catch((error: unknown) => {
        said = String(error);
      });
      expect(said).to.match(message);
    }
  });
});
