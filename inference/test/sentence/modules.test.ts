import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSentenceRecipe } from '../../src/models/sentence/preprocess.js';
import { modelFiles } from '../support/places.js';

describe("a sentence model's modules", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'heimdex-modules-'));
    await mkdir(join(folder, 'model', 'pool'), { recursive: true });
    for (const place of ['model/pool', '.']) {
      await writeFile(join(folder, place, 'config.json'), '{"pooling_mode_cls_token": true}');
    }
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  async function pooling(path: string) {
    const modules = [{ type: 'sentence_transformers.models.Pooling', path }];
    await writeFile(join(folder, 'model', 'modules.json'), JSON.stringify(modules));
    const files = modelFiles('org/name', join(folder, 'model'), { model: 'model.onnx' });
    return (await readSentenceRecipe(files, join(folder, 'model', 'model.onnx'))).pooling;
  }

  it('are read from their folder', async () => {
    expect(await pooling('pool')).to.deep.equal(['cls']);
    expect(await pooling('pool/')).to.deep.equal(['cls']);
  });

  for (const path of ['..', '../', '/etc', 'pool/../..', 'pool\\..\\..']) {
    it(`are not read outside of the model's folder: ${path}`, async () => {
      expect(await pooling(path).then(String, (error: Error) => error.message)).to.include('cannot be used');
    });
  }
});
