import { join } from 'node:path';
import { bertShapes, type NamedTensor, randomTensors, safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Config, compileCheckpoint } from '../src/index.js';
import { temporaryDir } from './support/dir.js';

const BERT = {
  model_type: 'bert',
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 50,
  max_position_embeddings: 16,
};
const DISTILBERT = {
  model_type: 'distilbert',
  dim: 32,
  hidden_dim: 64,
  n_layers: 2,
  n_heads: 4,
  vocab_size: 50,
  max_position_embeddings: 16,
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

describe('DistilBERT', () => {
  const dir = temporaryDir();

  async function answer(tensors: readonly NamedTensor[], config: Config): Promise<Float32Array> {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(tensors));
    const out = dir.fresh();
    await compileCheckpoint({ checkpoint, config, dir: out, precision: 'fp32', overflowSafe: true });
    const session = await InferenceSession.create(join(out, 'model.onnx'), { logSeverityLevel: 4 });
    const integers = (values: readonly number[]) => new Tensor('int64', BigInt64Array.from(values, BigInt), [1, 5]);
    const { last_hidden_state } = await session.run({
      input_ids: integers([2, 7, 9, 40, 3]),
      attention_mask: integers([1, 1, 1, 1, 1]),
    });
    await session.release();
    return last_hidden_state?.data as Float32Array;
  }

  it('is a BERT without token types, with names of its own', async () => {
    const size = { width: 32, inner: 64, layers: 2, vocabulary: 50, positions: 16, types: 2 };
    const tensors = randomTensors(bertShapes(size), 3);
    for (const { name, values } of tensors) if (name.includes('token_type')) values.fill(0);
    const renamed = tensors
      .filter(({ name }) => !name.includes('token_type'))
      .map((tensor) => ({ ...tensor, name: NAMES.reduce((name, [own, its]) => name.replace(own, its), tensor.name) }));
    const head = { name: 'vocab_projector.bias', shape: [50], values: new Float32Array(50) };
    expect([...(await answer([...renamed, head], DISTILBERT))]).to.deep.equal([...(await answer(tensors, BERT))]);
  });
});
