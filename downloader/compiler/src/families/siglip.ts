import type { ExpectedUnused } from '../checkpoint/weights.js';
import { CompilerError } from '../errors.js';
import type { AttentionShape, Layers } from '../graph/layers.js';
import { type ConfigReader, headSize } from './config.js';
import { type FeedForwardSizes, feedForward } from './feed-forward.js';

/** Of a tower. More than in any model: all of them are run together, in time that grows by their square. */
const MAX_POSITIONS = 16_384;

/** Tensors of a SigLIP checkpoint that its towers do not need. */
export const SIGLIP_UNUSED: ExpectedUnused = {
  'how similarities are scaled to probabilities': /^logit_(scale|bias)$/,
  'positions that count up': /\.position_ids$/,
};

interface TowerConfig extends FeedForwardSizes {
  readonly layers: number;
  readonly heads: number;
  readonly epsilon: number;
}

/** Defaults: transformers' SiglipVisionConfig and SiglipTextConfig. */
function towerConfig(config: ConfigReader): TowerConfig {
  return {
    width: config.count('hidden_size', 768),
    feedForward: config.count('intermediate_size', 3072),
    layers: config.count('num_hidden_layers', 12),
    heads: config.count('num_attention_heads', 12),
    epsilon: config.epsilon(1e-6),
    activation: config.text('hidden_act', 'gelu_pytorch_tanh'),
  };
}

/**
 * The image tower of SigLIP 1 and of SigLIP 2 for square images: `pixel_values` [batch, 3, side, side] in -1 to 1 to
 * `pooler_output` [batch, width], not normalized.
 *
 * Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", 2023; transformers' modeling_siglip.py.
 */
export function buildSiglipVision(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const vision = config.part('vision_config');
  const tower = towerConfig(vision);
  const { width, heads } = tower;
  vision.expect('vision_use_head', true);
  vision.expect('num_channels', 3);
  const side = vision.count('image_size', 224);
  const patch = vision.count('patch_size', 16);
  const length = Math.floor(side / patch) ** 2;
  if (length < 1 || length > MAX_POSITIONS) {
    throw new CompilerError(
      'CONFIG_UNSUPPORTED',
      `Expected image_size and patch_size in vision_config of config.json to make 1 to ${MAX_POSITIONS} patches, got ${length}.`,
    );
  }

  const pixels = graph.input('pixel_values', 'float32', ['batch', 3, side, side]);
  const name = 'vision_model.embeddings.patch_embedding';
  const patches = layers.convolution(pixels, name, [width, 3, patch, patch], { strides: [patch, patch] });
  const rows = graph.op('Transpose', [graph.op('Reshape', [patches, graph.integers(0, width, length)])], {
    perm: [0, 2, 1],
  });
  const embedded = graph.op('Add', [rows, positions(layers, 'vision_model', length, width)]);
  const dims = graph.integers(-1, length, width);
  const hidden = encode(
    layers,
    graph.op('Reshape', [embedded, graph.integers(-1, width)]),
    'vision_model',
    tower,
    dims,
  );
  const normed = layers.norm(hidden, 'vision_model.post_layernorm', width, tower.epsilon);
  const pooled = attentionPooling(layers, normed, tower, { width, heads, dims }, pixels);
  graph.output('pooler_output', pooled, ['batch', width]);
}

/**
 * The text tower: `input_ids` [batch, 64] (padded as it was trained) to `pooler_output` [batch, width], not normalized.
 *
 * Source: as the image tower.
 */
export function buildSiglipText(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const text = config.part('text_config');
  const tower = towerConfig(text);
  const { width, epsilon } = tower;
  const length = text.count('max_position_embeddings', 64, MAX_POSITIONS);
  const vocabulary = text.count('vocab_size', 32000);
  const outputs = text.count('projection_size', width);
  // Images and texts are compared.
  text.expect('projection_size', config.part('vision_config').count('hidden_size', 768), width);

  const ids = graph.input('input_ids', 'int64', ['batch', length]);
  const tokens = layers.embedding('text_model.embeddings.token_embedding.weight', ids, vocabulary, width);
  const embedded = graph.op('Add', [tokens, positions(layers, 'text_model', length, width)]);
  const dims = graph.integers(-1, length, width);
  const hidden = encode(layers, graph.op('Reshape', [embedded, graph.integers(-1, width)]), 'text_model', tower, dims);
  // Norms treat each row by itself, so the last row is all that is needed of the last one.
  const last = graph.op('Gather', [graph.op('Reshape', [hidden, dims]), graph.index(length - 1)], { axis: 1 });
  const normed = layers.norm(last, 'text_model.final_layer_norm', width, epsilon);
  const pooled = layers.linear(normed, { name: 'text_model.head', outputs }, width, 'head');
  graph.output('pooler_output', pooled, ['batch', outputs]);
}

function positions(layers: Layers, tower: string, length: number, width: number): string {
  return layers.tensor(`${tower}.embeddings.position_embedding.weight`, [length, width]);
}

/** The encoder: pre-norm layers. Returns [rows, width], not yet normed. */
function encode(layers: Layers, embedded: string, tower: string, config: TowerConfig, dims: string): string {
  const { graph } = layers;
  const { width, heads, epsilon } = config;
  headSize(width, heads);
  let hidden = embedded;
  for (let index = 0; index < config.layers; index++) {
    const name = `${tower}.encoder.layers.${index}`;
    const first = layers.norm(hidden, `${name}.layer_norm1`, width, epsilon);
    const projections = ['q_proj', 'k_proj', 'v_proj'] as const;
    const context = layers.attention(first, `${name}.self_attn`, projections, { width, heads, dims });
    const out = { name: `${name}.self_attn.out_proj`, outputs: width };
    hidden = graph.op('Add', [hidden, layers.linear(context, out, width, 'attention output')]);
    const second = layers.norm(hidden, `${name}.layer_norm2`, width, epsilon);
    const fed = feedForward(layers, second, [`${name}.mlp.fc1`, `${name}.mlp.fc2`], config);
    hidden = graph.op('Add', [hidden, fed]);
    graph.cut();
  }
  return hidden;
}

/** The pooling head: attention of one learned query, the probe, over all rows; then a feed-forward layer. */
function attentionPooling(
  layers: Layers,
  rows: string,
  config: TowerConfig,
  shape: AttentionShape,
  batchOf: string,
): string {
  const { graph, weights } = layers;
  const { width, heads, dims } = shape;
  const name = 'vision_model.head';
  const projection = () => weights.take(`${name}.attention.in_proj_weight`, [3 * width, width]);
  const bias = () => weights.take(`${name}.attention.in_proj_bias`, [3 * width]);
  // The query is the same for every image: it is computed here.
  const query = () => affine(projection(), bias(), weights.take(`${name}.probe`, [1, 1, width]));
  const keysAndValues = { values: () => projection().subarray(width * width), outputs: 2 * width, inputs: width };
  const product = graph.op('Add', [
    layers.multiply(rows, `${name}.attention.kv`, keysAndValues, 'head'),
    graph.constant(`${name}.attention.kv.bias`, 'float32', [2 * width], () => bias().slice(width)),
  ]);
  const [keys = '', values = ''] = graph.split(product, 2, 1);
  const batch = graph.sizeOf(batchOf, 0);
  const queries = graph.op('Expand', [
    graph.constant(`${name}.query`, 'float32', [1, 1, width], query),
    graph.shape(batch, 1, width),
  ]);
  const context = graph.runtimeOp(
    'MultiHeadAttention',
    [queries, graph.op('Reshape', [keys, dims]), graph.op('Reshape', [values, dims])],
    { num_heads: heads },
  );
  const flat = graph.op('Reshape', [context, graph.integers(-1, width)]);
  const attended = layers.linear(flat, { name: `${name}.attention.out_proj`, outputs: width }, width, 'head');
  const normed = layers.norm(attended, `${name}.layernorm`, width, config.epsilon);
  const fed = feedForward(layers, normed, [`${name}.mlp.fc1`, `${name}.mlp.fc2`], config, ['head', 'head']);
  return graph.op('Add', [attended, fed]);
}

/** The first rows of a matrix times a vector, and a bias; as many rows as the vector is long. */
function affine(matrix: Float32Array, bias: Float32Array, vector: Float32Array): Float32Array {
  return vector.map((_, row) => {
    let sum = bias[row] as number;
    for (let i = 0; i < vector.length; i++) sum += (matrix[row * vector.length + i] as number) * (vector[i] as number);
    return sum;
  });
}
