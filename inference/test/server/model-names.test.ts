import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { SPECS } from '../../src/models/registry.js';
import { startFakeServer } from '../fixtures/fake-server.js';

describe('the name of a sentence embedder', () => {
  for (const id of ['BAAI/bge-m3', 'Xenova/bge-m3', 'somebody/bge-m3-onnx', 'onnx-community/BGE-M3-ONNX']) {
    it(`is bge-m3 for ${id}`, () => {
      expect(SPECS.sentence.healthName(id)).to.equal('bge-m3');
    });
  }

  for (const id of [
    'sentence-transformers/all-MiniLM-L6-v2',
    'Xenova/paraphrase-multilingual-MiniLM-L12-v2',
    'BAAI/bge-m3-unsupervised',
    'BAAI/bge-small-en-v1.5',
    'bge-m3/e5-small',
  ]) {
    it(`is not bge-m3 for ${id}`, () => {
      expect(SPECS.sentence.healthName(id)).to.equal('sentence-transformers');
    });
  }

  it('is the same in health, GetServerInfo, the log and the metrics', async () => {
    const fake = await startFakeServer({}, 'sentence-transformers/all-MiniLM-L6-v2');
    try {
      await fake.server.warm;
      const health = (await (await fetch(`${fake.url}/health`)).json()) as { readonly models_loaded: string[] };
      expect(health.models_loaded).to.deep.equal(['sentence-transformers']);
      const { models } = await fake.client.value(InferenceService.method.getServerInfo, {});
      expect(models.map(({ family }) => family)).to.deep.equal(['sentence-transformers']);
      const metrics = await (await fetch(`${fake.url}/metrics`)).text();
      expect(metrics).to.include('heimdex_items_total{model="sentence-transformers"}').and.not.include('bge-m3');
      const told = fake.log.flatMap(({ model }) => (model === undefined ? [] : [model]));
      expect(new Set(told)).to.deep.equal(new Set(['sentence-transformers']));
    } finally {
      await fake.close();
    }
  });
});
