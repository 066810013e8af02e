import { bertShapes, type NamedTensor, randomTensors } from '@heimdex/hub';

/** The smallest BERT that has every kind of tensor. */
export const BERT_SIZE = { width: 16, inner: 32, layers: 1, vocabulary: 40, positions: 12, types: 2 };

/** Its config.json. */
export const BERT_CONFIG = {
  model_type: 'bert',
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  vocab_size: 40,
  max_position_embeddings: 12,
  type_vocab_size: 2,
} as const;

/** Its weights; the pooler of BERT's training is expected to be there and is not used. */
export function bertTensors(): readonly NamedTensor[] {
  return randomTensors(bertShapes(BERT_SIZE, { pooler: true }));
}
