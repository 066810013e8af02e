import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readSentenceRecipe } from '../../src/models/sentence/preprocess.js';
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

  async function pooling(path: string) {
    const modules = [{ type: 'sentence_transformers.models.Pooling', path }];
    await writeFile(join(dir, 'model', 'modules.json'), JSON.stringify(modules));
    const files = modelFiles('org/name', join(dir, 'model'), { model: 'model.onnx' });
    return (await readSentenceRecipe(files, join(dir, 'model', 'model.onnx'))).pooling;
  }

  it('are read from their directory', async () => {
    expect(await pooling('pool')).to.deep.equal(['cls']);
    expect(await pooling('pool/')).to.deep.equal(['cls']);
  });

  for (const path of ['..', '../', '/etc', 'pool/../..', 'pool\\..\\..']) {
    it(`are not read outside of the model's directory: ${path}`, async () => {
      expect(await pooling(path).then(String, (error: Error) => error.message)).to.include('cannot be used');
    });
  }
});
