import { LONG_TEXT_TOKENS } from '@heimdex/onnx';
import type { ExpectedUnused } from '../checkpoint/weights.js';
import type { Layers } from '../graph/layers.js';
import { bertPositions, positionsBehind } from './bert-positions.js';
import { type Config, type ConfigReader, headSize } from './config.js';
import { DENSE, POOLING_FILE, pooledDense } from './dense.js';
import { feedForward } from './feed-forward.js';
import { relativePositions } from './mpnet.js';

/** Tensors of a BERT or XLM-RoBERTa checkpoint that token vectors do not need. */
const BERT_UNUSED: ExpectedUnused = {
  'positions that count up': /^embeddings\.(position_ids|token_type_ids)$/,
  "the pooler of BERT's own training": /^pooler\./,
  'heads for masked words': /^(cls|lm_head|vocab_(transform|layer_norm|projector))\./,
};

/** Tensors of a head for another task. Only of a checkpoint whose config.json names it: who chooses the checkpoint knows then what it is. */
const OTHER_HEADS: ExpectedUnused = { 'heads for another task': /^((pre_)?classifier|qa_outputs)\./ };

export function bertUnused({ architectures }: Config): ExpectedUnused {
  const named = Array.isArray(architectures) && architectures.some((name) => OTHER_TASK.test(String(name)));
  return named ? { ...BERT_UNUSED, ...OTHER_HEADS } : BERT_UNUSED;
}

const OTHER_TASK = /For(SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice)$/;

/** Prefixes that heads add to the encoder's names. */
export const BERT_PREFIXES = ['bert.', 'roberta.', 'camembert.', 'distilbert.', 'mpnet.', 'model.'] as const;

/** Names in old checkpoints, which name a norm's weights as TensorFlow did. */
export function currentBertName(name: string): string {
  return name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
}

/**
 * BERT, RoBERTa (XLM-RoBERTa and CamemBERT are the same network) and MPNet: `input_ids` and `attention_mask` [batch, length] to
 * `last_hidden_state` [batch, length, width], and with a layer behind the pooling to `sentence_embedding` [batch, outputs] too. All
 * tokens are of type 0, as sentence embedders have them, or of none. A run of long texts without padding holds no table of attention's
 * scores.
 *
 * Source: Devlin et al., 2018; Liu et al., 2019; Conneau et al., 2019; transformers' modeling_bert.py and modeling_roberta.py.
 */
export function buildBert(layers: Layers, config: ConfigReader): void {
  const { graph, weights } = layers;
  const width = config.count('hidden_size', 768);
  const heads = config.count('num_attention_heads', 12);
  const sizes = {
    width,
    feedForward: config.count('intermediate_size', 3072),
    activation: config.text('hidden_act', 'gelu'),
  };
  const epsilon = config.epsilon(1e-12);
  headSize(width, heads);
  config.expect('position_embedding_type', 'absolute');
  // A decoder's tokens attend to those before them alone.
  config.expect('is_decoder', false);
  const { first: firstPosition, count: positionCount, padding } = bertPositions(config);
  // With the padding token's.
  const firstRow = padding ?? firstPosition;

  const ids = graph.input('input_ids', 'int64', ['batch', 'length']);
  const rawMask = graph.input('attention_mask', 'int64', ['batch', 'length']);
  const mask = graph.cast(rawMask, 'int32');
  const tokens = layers.embedding('embeddings.word_embeddings.weight', ids, config.count('vocab_size', 30522), width);
  const typeCount = config.config.type_vocab_size === 0 ? 0 : config.count('type_vocab_size', 2);
  const table = () => {
    const rows = weights.take('embeddings.position_embeddings.weight', [positionCount, width]);
    if (typeCount === 0) return rows.slice(firstRow * width);
    const types = weights.take('embeddings.token_type_embeddings.weight', [typeCount, width]);
    return rows.slice(firstRow * width).map((value, index) => value + (types[index % width] as number));
  };
  const length = graph.sizeOf(ids, 1);
  const rows = graph.constant('embeddings.positions', 'float32', [positionCount - firstRow, width], table);
  const positions =
    padding === undefined
      ? graph.op('Slice', [rows, graph.integers(0), length, graph.integers(0)])
      : positionsBehind(graph, padding, rows, ids);
  const flat = graph.integers(-1, width);
  const dims = graph.shape(-1, length, width);
  const scores = relativePositions(layers, config, heads, length, positionCount - firstPosition);
  const unpadded = scores === undefined ? unpaddedLong(layers, rawMask, length) : undefined;
  const attention = { width, heads, dims, mask, unpadded, scores };
  let hidden = graph.op('Reshape', [graph.op('Add', [tokens, positions]), flat]);
  hidden = layers.norm(hidden, 'embeddings.LayerNorm', width, epsilon);
  for (let index = 0; index < config.count('num_hidden_layers', 12); index++) {
    const name = `encoder.layer.${index}`;
    const context = layers.attention(hidden, `${name}.attention`, ['self.query', 'self.key', 'self.value'], attention);
    const out = { name: `${name}.attention.output.dense`, outputs: width };
    const attended = layers.linear(context, out, width, 'attention output');
    hidden = layers.norm(graph.op('Add', [hidden, attended]), `${name}.attention.output.LayerNorm`, width, epsilon);
    const fed = feedForward(layers, hidden, [`${name}.intermediate.dense`, `${name}.output.dense`], sizes);
    hidden = layers.norm(graph.op('Add', [hidden, fed]), `${name}.output.LayerNorm`, width, epsilon);
    graph.cut();
  }
  const tokenVectors = graph.op('Reshape', [hidden, dims]);
  graph.output('last_hidden_state', tokenVectors, ['batch', 'length', width]);
  const dense = config.part(DENSE, POOLING_FILE);
  if (dense.isEmpty) return;
  graph.output('sentence_embedding', pooledDense(layers, tokenVectors, rawMask, width, dense), ['batch', null]);
}

/**
 * Whether a run is of long texts without padding, bool [1]. The same for a text whatever its batch: the server runs texts of that length
 * alone, and shorter ones share runs.
 */
function unpaddedLong({ graph }: Layers, mask: string, length: string): string {
  const isLong = graph.op('GreaterOrEqual', [length, graph.integers(LONG_TEXT_TOKENS)]);
  const least = graph.op('Reshape', [graph.op('ReduceMin', [mask], { keepdims: 0 }), graph.integers(1)]);
  return graph.op('And', [isLong, graph.op('Equal', [least, graph.integers(1)])]);
}
