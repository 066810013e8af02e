import { type NamedTensor, safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import { bertPositions } from '../src/families/bert-positions.js';
import { architectureOf, type Config, ConfigReader } from '../src/index.js';
import { temporaryDir } from './support/dir.js';
import { answersOf, BERT_CONFIG, BERT_SIZE, bertTensors } from './support/stand-ins.js';

/** BERT_CONFIG in DistilBERT's words. */
const DISTILBERT = {
  model_type: 'distilbert',
  dim: BERT_CONFIG.hidden_size,
  hidden_dim: BERT_CONFIG.intermediate_size,
  n_layers: BERT_CONFIG.num_hidden_layers,
  n_heads: BERT_CONFIG.num_attention_heads,
  vocab_size: BERT_CONFIG.vocab_size,
  max_position_embeddings: BERT_CONFIG.max_position_embeddings,
};
/** BERT's names and DistilBERT's. */
const NAMES = [
  ['encoder.layer', 'distilbert.transformer.layer'],
  ['attention.self.query', 'attention.q_lin'],
  ['attention.self.key', 'attention.k_lin'],
  ['attention.self.value', 'attention.v_lin'],
  ['attention.output.dense', 'attention.out_lin'],
  ['attention.output.LayerNorm', 'sa_layer_norm'],
  ['intermediate.dense', 'ffn.lin1'],
  ['output.dense', 'ffn.lin2'],
  ['output.LayerNorm', 'output_layer_norm'],
  [/^embeddings/, 'distilbert.embeddings'],
] as const;

describe('an architecture that is a BERT', () => {
  const dir = temporaryDir();

  async function answer(tensors: readonly NamedTensor[], config: Config) {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(tensors));
    const { last_hidden_state } = await answersOf({ checkpoint, config, dir: dir.fresh() }, [[2, 7, 9, 30, 3]]);
    return [...(last_hidden_state as Float32Array)];
  }

  it('has no token types and names of its own: DistilBERT', async () => {
    const tensors = bertTensors();
    for (const { name, values } of tensors) if (name.includes('token_type')) values.fill(0);
    const renamed = tensors
      .filter(({ name }) => !/token_type|pooler/.test(name))
      .map((tensor) => ({ ...tensor, name: NAMES.reduce((name, [own, its]) => name.replace(own, its), tensor.name) }));
    const head = {
      name: 'vocab_projector.bias',
      shape: [BERT_SIZE.vocabulary],
      values: new Float32Array(BERT_SIZE.vocabulary),
    };
    expect(await answer([...renamed, head], DISTILBERT)).to.deep.equal(await answer(tensors, BERT_CONFIG));
  });

  for (const type of ['roberta', 'camembert']) {
    it(`is XLM-RoBERTa's network: ${type}`, () => {
      expect(architectureOf({ model_type: type })).to.equal(architectureOf({ model_type: 'xlm-roberta' }));
      const config = { max_position_embeddings: 514, pad_token_id: 1 };
      const positions = bertPositions(new ConfigReader({ ...config, model_type: type }));
      expect(positions).to.deep.equal({ first: 2, count: 514 });
    });
  }
});
