import { readdir, readFile } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';
import { optimizedSources, readModelEnvironment } from '@heimdex/cache';
import type { HubFile } from '@heimdex/hub';
import { expect } from 'chai';
import { findModels } from '../../src/models/find.js';
import { parseModel, writeModel } from '../../src/onnx/index.js';
import { DEMO_MODELS, makeVolume, type Volume } from '../fixtures/volume.js';
import { inShared, needsShared } from '../support/paths.js';
import { answers, expectSameBits, formDirs, MAKE, prepare, SIGLIP, TEXTS, VISION_ONLY } from './forms.js';

/** A model whose weights may be external. */
const LARGE = 'Xenova/siglip-base-patch16-384';
const EXTERNAL = { ASR_MODEL: 'none', VISION_MODEL_NAME: `${LARGE}:fp32` };

/** A face detection item of an image. */
const facesOf = (content: Uint8Array) => [{ content, scoreThreshold: 0.5, nmsThreshold: 0.3, maxFaces: 0 }];

describe('prepared texts', () => {
  for (const [name, id] of [
    ['an int8 sentence model', 'Xenova/all-MiniLM-L6-v2'],
    ['a float sentence model', 'fixtures/bge-m3-tiny'],
  ] as const) {
    it(`of ${name} are the same bits`, async function () {
      needsShared(this, `models/${id}`);
      const volume = await makeVolume({ snapshots: { [id]: inShared(`models/${id}`) } });
      const env = { ASR_MODEL: 'none', VISION_MODEL_NAME: 'none', LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: id };
      try {
        const items = [...TEXTS, { ...TEXTS[0], text: 'a longer one, '.repeat(40) }];
        await expectSameBits(volume, env, items, MAKE);
      } finally {
        await volume.remove();
      }
    });
  }
});

describe('a model of faces', () => {
  it('is too small to be prepared, and is served from its original file', async () => {
    const dir = join(DEMO_MODELS, 'heimdex/face-pocket');
    const volume = await makeVolume({ plain: [join(dir, 'face_detection_pocket.onnx')] });
    const env = {
      ASR_MODEL: 'none',
      VISION_MODEL_NAME: 'none',
      FEATURE_FACE: 'true',
      FACE_MODEL_NAME: 'heimdex/face-pocket',
    };
    try {
      expect(await prepare(volume, env)).to.deep.equal([]);
      expect(await formDirs(volume)).to.deep.equal([]);
      const content = await readFile(join(dir, 'golden/g3_640x640.png'));
      const plain = await answers(volume, env, facesOf(content), false);
      const prepared = await answers(volume, env, facesOf(content), true);
      expect(prepared).to.deep.equal({ ...plain, uses: [] });
      expect(JSON.stringify(plain.results)).to.include('"faces":[{');
    } finally {
      await volume.remove();
    }
  });
});

describe('a model with external weights', () => {
  it('is prepared with its weights, and other weights are another source', async () => {
    const volume = await makeVolume({ snapshots: { [LARGE]: await withExternalWeights() } });
    const changed = await makeVolume({ snapshots: { [LARGE]: await withExternalWeights({ changed: true }) } });
    const whole = await makeVolume({ snapshots: { [SIGLIP]: join(DEMO_MODELS, SIGLIP) } });
    try {
      const external = await expectSameBits(volume, EXTERNAL, TEXTS, MAKE);
      const inside = await answers(whole, VISION_ONLY, TEXTS, false);
      expect(external).to.deep.equal(inside.results);
      const sources = await sourcesOf(volume);
      const others = (await sourcesOf(changed)).filter((source) => !sources.includes(source));
      expect([sources.length, others.length]).to.deep.equal([2, 1]);
    } finally {
      for (const one of [volume, changed, whole]) await one.remove();
    }
  });
});

/** The small model with external weights of its text graph; `changed`: one bit of them differs. */
async function withExternalWeights({ changed = false } = {}): Promise<HubFile[]> {
  const dir = join(DEMO_MODELS, SIGLIP);
  const graph = 'onnx/text_model.onnx';
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('golden'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => ({ path: relative(dir, file), file }))
    .filter(({ path }) => path !== graph);
  const model = parseModel(await readFile(join(dir, graph)));
  const chunks: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph.initializers) {
    if (tensor.data?.kind !== 'inline' || tensor.data.bytes.length < 1024) continue;
    const { bytes } = tensor.data;
    tensor.data = { kind: 'external', location: `${basename(graph)}_data`, offset, length: bytes.length };
    chunks.push(bytes);
    offset += bytes.length;
  }
  const weights = Buffer.concat(chunks);
  if (changed) weights[0] = (weights[0] ?? 0) ^ 1;
  return [...files, { path: graph, bytes: writeModel(model) }, { path: `${graph}_data`, bytes: weights }];
}

/** The hashes of the vision model's graphs. */
async function sourcesOf(volume: Volume): Promise<string[]> {
  const [model] = await findModels(readModelEnvironment({ HF_HUB_CACHE: volume.cacheDir, ...EXTERNAL }));
  if (model === undefined) throw new Error('no model is configured');
  return [...optimizedSources(model.found).values()];
}
