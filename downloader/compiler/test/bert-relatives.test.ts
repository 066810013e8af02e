import { bertShapes, type NamedTensor, randomTensors, safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import { bertPositions } from '../src/families/bert-positions.js';
import { bucketOf } from '../src/families/mpnet.js';
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

/** BERT's names and MPNet's. */
const MPNET_NAMES = [
  ['attention.self.query', 'attention.attn.q'],
  ['attention.self.key', 'attention.attn.k'],
  ['attention.self.value', 'attention.attn.v'],
  ['attention.output.dense', 'attention.attn.o'],
  ['attention.output.LayerNorm', 'attention.LayerNorm'],
] as const;

describe('an architecture that is a BERT', () => {
  const dir = temporaryDir();

  async function answer(tensors: readonly NamedTensor[], config: Config, ids = [2, 7, 9, 30, 3], mask?: number[]) {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(tensors));
    const options = { checkpoint, config, dir: dir.fresh() };
    const { last_hidden_state } = await answersOf(options, [ids], mask && [mask]);
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

  it('adds a number per head and distance to the scores, as transformers does: MPNet', async () => {
    const shapes = { ...bertShapes(BERT_SIZE, { pooler: true }), 'encoder.relative_attention_bias.weight': [32, 2] };
    const tensors = randomTensors(shapes).filter(({ name }) => !name.includes('token_type'));
    // Large enough to decide where a token looks.
    for (const { name, values } of tensors)
      if (name.includes('relative')) values.set(values.map((value) => 20 * value));
    const renamed = tensors.map((tensor) => ({
      ...tensor,
      name: MPNET_NAMES.reduce((name, [own, its]) => name.replace(own, its), tensor.name),
    }));
    // MPNet's positions begin behind 1, whatever its padding token is.
    const config = { ...BERT_CONFIG, model_type: 'mpnet', pad_token_id: 0 };
    const values = await answer(renamed, config, [0, 7, 9, 30, 11, 25, 8, 39, 2, 1], [1, 1, 1, 1, 1, 1, 1, 1, 1, 0]);
    const firstOfEach = Array.from({ length: 9 }, (_, token) => values[token * BERT_CONFIG.hidden_size] as number);
    // MPNetModel of transformers 5.24.
    const expected = [0.052982, -0.738708, 0.012988, 0.822598, -0.848161, 0.295067, 1.26213, -0.304753, -1.062476];
    for (const [token, value] of firstOfEach.entries()) expect(value).to.be.closeTo(expected[token] as number, 2e-5);
  });

  it('has a bucket for each short distance and a common one for long ones: MPNet', () => {
    const distances = [0, -1, 1, -7, 7, -8, 11, 12, -16, -32, 63, 64, -127, 127, -511, 511];
    // relative_position_bucket of transformers' modeling_mpnet.py.
    const expected = [0, 1, 17, 7, 23, 8, 24, 25, 10, 12, 29, 30, 15, 31, 15, 31];
    expect(distances.map((distance) => bucketOf(distance, 32))).to.deep.equal(expected);
  });

  for (const type of ['roberta', 'camembert', 'mpnet']) {
    it(`has XLM-RoBERTa's positions: ${type}`, () => {
      const config = { max_position_embeddings: 514, pad_token_id: 1 };
      const positions = bertPositions(new ConfigReader({ ...config, model_type: type }));
      expect(positions).to.deep.equal({ first: 2, count: 514, padding: 1 });
    });
  }

  for (const [padding, positions] of [
    // In transformers: RobertaEmbeddings.create_position_ids_from_input_ids.
    [0, [0, 1, 2, 0, 3, 4]],
    [9, [10, 11, 9, 12, 13, 14]],
    [3, [4, 5, 6, 7, 8, 3]],
  ] as const) {
    it(`has the position of its padding token where a text has that one, and counts the others: ${padding}`, async () => {
      const sized = { ...BERT_SIZE, positions: 16 };
      const tensors = randomTensors(bertShapes(sized));
      const config = { ...BERT_CONFIG, max_position_embeddings: sized.positions };
      const ordered = tensors.map((tensor) => {
        if (!tensor.name.endsWith('position_embeddings.weight')) return tensor;
        const rows = positions.map((row) => tensor.values.subarray(row * BERT_SIZE.width, (row + 1) * BERT_SIZE.width));
        const values = new Float32Array(tensor.values.length);
        rows.forEach((row, at) => {
          values.set(row, at * BERT_SIZE.width);
        });
        return { ...tensor, values };
      });
      const ids = [0, 7, 9, 0, 30, 3];
      const roberta = { ...config, model_type: 'roberta', pad_token_id: padding };
      expect(await answer(tensors, roberta, ids)).to.deep.equal(await answer(ordered, config, ids));
    });
  }

  for (const type of ['roberta', 'camembert']) {
    it(`is XLM-RoBERTa's network: ${type}`, () => {
      expect(architectureOf({ model_type: type })).to.equal(architectureOf({ model_type: 'xlm-roberta' }));
    });
  }
});
