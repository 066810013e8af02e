import type { ExpectedUnused } from '../checkpoint/weights.js';
import type { Layers } from '../graph/layers.js';
import { blockSizeOf } from '../graph/products.js';
import { quantizeBlocks } from '../graph/quantize.js';
import { type ConfigReader, headSize } from './config.js';
import { attentionsName, pastName, presentName, WHISPER_VALUES as VALUES } from './whisper-values.js';

/** transformers' prefix; OpenAI's files have none. */
export const WHISPER_PREFIXES = ['model.'] as const;

/** All tensors of a Whisper are needed by one of its three graphs, which share the token table. */
export const WHISPER_UNUSED: ExpectedUnused = {
  'alignment heads of a .pt file': /^alignment_heads$/,
  'a mask that is worked out': /^decoder\.mask$/,
};

const EPSILON = 1e-5;
const VOCABULARY_ROWS = 1024;

interface Sizes {
  readonly width: number;
  readonly heads: number;
  readonly size: number;
  readonly feedForward: number;
  readonly layers: number;
  readonly activation: string;
}

function sizesOf(config: ConfigReader, part: 'encoder' | 'decoder'): Sizes {
  const width = config.count('d_model');
  const heads = config.count(`${part}_attention_heads`);
  config.expect('scale_embedding', false);
  return {
    width,
    heads,
    size: headSize(width, heads),
    feedForward: config.count(`${part}_ffn_dim`, 4 * width),
    layers: config.count(`${part}_layers`),
    activation: config.text('activation_function', 'gelu'),
  };
}

/**
 * Whisper's encoder: a log-mel spectrogram to one row per requested position. Only the requested positions are computed, and a
 * row may represent several (token merging): silence costs a quarter.
 *
 * Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022; Bolya et al., "Token Merging", 2023.
 */
export function buildWhisperEncoder(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const sizes = sizesOf(config, 'encoder');
  const { width } = sizes;
  const mels = config.count('num_mel_bins', 80);
  const positionCount = config.count('max_source_positions', 1500);

  const features = graph.input(VALUES.features, 'float32', [1, mels, 'frames']);
  const rows = graph.input(VALUES.rows, 'int64', ['rows']);
  const positions = graph.input(VALUES.positions, 'int64', ['rows']);
  const merged = {
    condition: graph.input(VALUES.merged, 'bool', [1]),
    logCounts: graph.input(VALUES.logCounts, 'float32', [1, 1, 'scored', 'scored']),
  };
  const convolved = (x: string, name: string, channels: number, stride: number) =>
    layers.activation(
      graph.op(
        'Conv',
        [x, layers.tensor(`${name}.weight`, [width, channels, 3]), layers.vector(`${name}.bias`, width)],
        { kernel_shape: [3], strides: [stride], pads: [1, 1] },
      ),
      'gelu',
    );
  const sound = convolved(convolved(features, 'encoder.conv1', mels, 1), 'encoder.conv2', width, 2);
  const chosen = graph.op('Gather', [graph.op('Transpose', [sound], { perm: [0, 2, 1] }), rows], { axis: 1 });
  const table = layers.tensor('encoder.embed_positions.weight', [positionCount, width]);
  const positional = graph.op('Gather', [table, positions]);
  const length = graph.op('Shape', [rows]);
  const dims = graph.op('Concat', [graph.integers(1), length, graph.integers(width)], { axis: 0 });
  let hidden = graph.op('Reshape', [graph.op('Add', [chosen, positional]), graph.integers(-1, width)]);
  for (let index = 0; index < sizes.layers; index++) {
    const name = `encoder.layers.${index}`;
    const first = layers.norm(hidden, `${name}.self_attn_layer_norm`, width, EPSILON);
    const attention = { width, heads: sizes.heads, dims, merged };
    const context = layers.attention(first, `${name}.self_attn`, ['q_proj', 'k_proj', 'v_proj'], attention);
    const out = { name: `${name}.self_attn.out_proj`, outputs: width };
    hidden = graph.op('Add', [hidden, layers.linear(context, out, width, 'attention output')]);
    hidden = graph.op('Add', [hidden, feedForward(layers, hidden, name, sizes)]);
    graph.cut();
  }
  const normed = layers.norm(hidden, 'encoder.layer_norm', width, EPSILON);
  graph.output(VALUES.encoded, graph.op('Reshape', [normed, dims]), 'float32', [1, 'rows', width]);
}

function feedForward(
  layers: Layers,
  hidden: string,
  name: string,
  { width, feedForward: inner, activation }: Sizes,
): string {
  const normed = layers.norm(hidden, `${name}.final_layer_norm`, width, EPSILON);
  const first = layers.linear(normed, { name: `${name}.fc1`, outputs: inner }, width, 'feed-forward 1');
  return layers.linear(
    layers.activation(first, activation),
    { name: `${name}.fc2`, outputs: width },
    inner,
    'feed-forward 2',
  );
}

/** Computed once per audio: the keys and values that the decoder's cross attention reads, for every layer. */
export function buildWhisperCross(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const { width, heads, size, layers: count } = sizesOf(config, 'decoder');
  const states = graph.input(VALUES.states, 'float32', ['audios', 'positions', width]);
  const length = graph.op('Gather', [graph.op('Shape', [states]), graph.integers(1)], { axis: 0 });
  const dims = graph.op('Concat', [graph.integers(-1), length, graph.integers(heads), graph.integers(size)], {
    axis: 0,
  });
  const flat = graph.op('Reshape', [states, graph.integers(-1, width)]);
  for (let index = 0; index < count; index++) {
    const name = `decoder.layers.${index}.encoder_attn`;
    const projections = ['k_proj', 'v_proj'].map((projection) => ({ name: `${name}.${projection}`, outputs: width }));
    const joined = layers.joined(flat, `${name}.kv`, projections, width, 'attention input');
    const [key = '', value = ''] = graph.ops('Split', [joined], 2, { axis: 1, num_outputs: 2 });
    for (const [side, part] of [
      ['key', key],
      ['value', value],
    ] as const) {
      const turned = graph.op('Transpose', [graph.op('Reshape', [part, dims])], { perm: [0, 2, 1, 3] });
      graph.output(presentName(index, 'encoder', side), turned, 'float32', ['audios', heads, 'positions', size]);
    }
    graph.cut();
  }
}

/**
 * Whisper's decoder, for prompts and for single tokens. The KV cache has capacity for more tokens than it holds and is only read;
 * the keys and values of the run's tokens are separate outputs. Several rows (beams, samples) may share one audio.
 *
 * Source: as the encoder.
 */
export function buildWhisperDecoder(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const sizes = sizesOf(config, 'decoder');
  const { width, heads, size } = sizes;
  const vocabulary = config.count('vocab_size');
  const positionCount = config.count('max_target_positions', 448);

  const ids = graph.input(VALUES.tokens, 'int64', ['rows', 'tokens']);
  const pastLength = graph.input(VALUES.pastLength, 'int64', [1]);
  const mask = graph.input(VALUES.mask, 'float32', [1, 1, 'mask_tokens', 'room_and_tokens']);
  const logCounts = graph.input(VALUES.encoderLogCounts, 'float32', [null, 1, 1, null]);
  const logitPositions = graph.input(VALUES.logitPositions, 'int64', ['logit_positions']);

  const tokens = layers.embedding('decoder.embed_tokens.weight', ids, vocabulary, width);
  const length = graph.op('Gather', [graph.op('Shape', [ids]), graph.integers(1)], { axis: 0 });
  const table = layers.tensor('decoder.embed_positions.weight', [positionCount, width]);
  const positional = graph.op('Slice', [table, pastLength, graph.op('Add', [pastLength, length]), graph.integers(0)]);
  const dims = graph.op('Concat', [graph.integers(-1), length, graph.integers(width)], { axis: 0 });
  const perToken = graph.op('Concat', [graph.integers(-1), length, graph.integers(heads), graph.integers(size)], {
    axis: 0,
  });
  let hidden = graph.op('Reshape', [graph.op('Add', [tokens, positional]), graph.integers(-1, width)]);
  for (let index = 0; index < sizes.layers; index++) {
    const name = `decoder.layers.${index}`;
    const first = layers.norm(hidden, `${name}.self_attn_layer_norm`, width, EPSILON);
    const own = selfAttention(layers, first, index, sizes, perToken, mask);
    const ownOut = { name: `${name}.self_attn.out_proj`, outputs: width };
    hidden = graph.op('Add', [hidden, layers.linear(own, ownOut, width, 'attention output')]);
    const second = layers.norm(hidden, `${name}.encoder_attn_layer_norm`, width, EPSILON);
    const attended = crossAttention(layers, second, index, sizes, logCounts);
    const projection = { name: `${name}.encoder_attn.out_proj`, outputs: width };
    hidden = graph.op('Add', [hidden, layers.linear(attended, projection, width, 'attention output')]);
    hidden = graph.op('Add', [hidden, feedForward(layers, hidden, name, sizes)]);
    graph.cut();
  }
  const chosen = graph.op('Gather', [graph.op('Reshape', [hidden, dims]), logitPositions], { axis: 1 });
  const normed = layers.norm(chosen, 'decoder.layer_norm', width, EPSILON);
  const flat = graph.op('Reshape', [normed, graph.integers(-1, width)]);
  const scores = vocabularyProduct(layers, flat, vocabulary, width);
  const shape = graph.op(
    'Concat',
    [graph.integers(-1), graph.op('Shape', [logitPositions]), graph.integers(vocabulary)],
    { axis: 0 },
  );
  graph.output(VALUES.logits, graph.op('Reshape', [scores, shape]), 'float32', ['rows', 'logit_positions', vocabulary]);
}

/** The scores against the cache and those against the run's own tokens, concatenated. Returns [rows x tokens, width]. */
function selfAttention(layers: Layers, x: string, index: number, sizes: Sizes, perToken: string, mask: string): string {
  const { graph } = layers;
  const { width, heads, size } = sizes;
  const name = `decoder.layers.${index}.self_attn`;
  const projections = ['q_proj', 'k_proj', 'v_proj'].map((projection) => ({
    name: `${name}.${projection}`,
    outputs: width,
  }));
  const joined = layers.joined(x, `${name}.qkv`, projections, width, 'attention input');
  const [query = '', key = '', value = ''] = graph
    .ops('Split', [joined], 3, { axis: 1, num_outputs: 3 })
    .map((part) => graph.op('Transpose', [graph.op('Reshape', [part, perToken])], { perm: [0, 2, 1, 3] }));
  graph.output(presentName(index, 'decoder', 'key'), key, 'float32', ['rows', heads, 'tokens', size]);
  graph.output(presentName(index, 'decoder', 'value'), value, 'float32', ['rows', heads, 'tokens', size]);
  const pastKey = graph.input(pastName(index, 'decoder', 'key'), 'float32', ['rows', heads, 'room', size]);
  const pastValue = graph.input(pastName(index, 'decoder', 'value'), 'float32', ['rows', heads, 'room', size]);
  const scaled = graph.op('Mul', [query, graph.scalar(size ** -0.5)]);
  const against = (keys: string) => graph.op('MatMul', [scaled, graph.op('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
  const scores = graph.op('Add', [graph.op('Concat', [against(pastKey), against(key)], { axis: -1 }), mask]);
  const shares = graph.op('Softmax', [scores], { axis: -1 });
  const room = graph.op('Slice', [graph.op('Shape', [pastKey]), graph.integers(2), graph.integers(3)]);
  const part = (from: string, to: string) => graph.op('Slice', [shares, from, to, graph.integers(3)]);
  const context = graph.op('Add', [
    graph.op('MatMul', [part(graph.integers(0), room), pastValue]),
    graph.op('MatMul', [part(room, graph.integers(Number.MAX_SAFE_INTEGER)), value]),
  ]);
  return graph.op('Reshape', [graph.op('Transpose', [context], { perm: [0, 2, 1, 3] }), graph.integers(-1, width)]);
}

/** All rows of one audio are queries together, so that its keys and values exist once. Returns [rows x tokens, width]. */
function crossAttention(layers: Layers, x: string, index: number, sizes: Sizes, logCounts: string): string {
  const { graph } = layers;
  const { width, heads, size } = sizes;
  const name = `decoder.layers.${index}.encoder_attn`;
  const key = graph.input(pastName(index, 'encoder', 'key'), 'float32', ['audios', heads, 'positions', size]);
  const value = graph.input(pastName(index, 'encoder', 'value'), 'float32', ['audios', heads, 'positions', size]);
  const query = layers.linear(x, { name: `${name}.q_proj`, outputs: width }, width, 'attention input');
  const audios = graph.op('Slice', [graph.op('Shape', [key]), graph.integers(0), graph.integers(1)]);
  const perAudio = graph.op('Concat', [audios, graph.integers(-1), graph.integers(heads), graph.integers(size)], {
    axis: 0,
  });
  const queries = graph.op('Transpose', [graph.op('Reshape', [query, perAudio])], { perm: [0, 2, 1, 3] });
  const scaled = graph.op('Mul', [queries, graph.scalar(size ** -0.5)]);
  const scores = graph.op('MatMul', [scaled, graph.op('Transpose', [key], { perm: [0, 1, 3, 2] })]);
  const shares = graph.op('Softmax', [graph.op('Add', [scores, logCounts])], { axis: -1 });
  graph.output(attentionsName(index), shares, 'float32', ['audios', heads, null, 'positions']);
  const context = graph.op('Transpose', [graph.op('MatMul', [shares, value])], { perm: [0, 2, 1, 3] });
  return graph.op('Reshape', [context, graph.integers(-1, width)]);
}

/** Scores over the vocabulary, from the token table or from a separate table if a fine-tune has untied the two. */
function vocabularyProduct(layers: Layers, x: string, vocabulary: number, width: number): string {
  const { graph, weights, recipe } = layers;
  const name = weights.has('proj_out.weight') ? 'proj_out.weight' : 'decoder.embed_tokens.weight';
  const slices = function* (
    first = 0,
    end = vocabulary,
  ): Generator<{ readonly rows: number; readonly values: Float32Array }> {
    for (let row = first; row < end; row += VOCABULARY_ROWS) {
      const rows = Math.min(VOCABULARY_ROWS, end - row);
      yield { rows, values: weights.takeRows(name, [vocabulary, width], row, rows) };
    }
  };
  const blockSize = blockSizeOf(recipe.vocabulary, width);
  if (blockSize === undefined) {
    const products: string[] = [];
    for (let row = 0; row < vocabulary; row += graph.productRows) {
      const end = Math.min(vocabulary, row + graph.productRows);
      const values = function* (): Generator<Float32Array> {
        for (const slice of slices(row, end)) yield slice.values;
      };
      const key = row === 0 ? 'vocabulary.weight' : `vocabulary.weight.${row}`;
      const table = graph.streamed(key, 'float32', [end - row, width], values);
      products.push(graph.op('Gemm', [x, table], { transB: 1 }));
      if (end < vocabulary) graph.cut();
    }
    return products.length === 1 ? (products[0] as string) : graph.op('Concat', products, { axis: 1 });
  }
  const blocks = Math.ceil(width / blockSize);
  const scales = new Float32Array(vocabulary * blocks);
  const values = function* (): Generator<Uint8Array> {
    let row = 0;
    for (const slice of slices()) {
      const quantized = quantizeBlocks(slice.values, slice.rows, width, blockSize);
      scales.set(quantized.scales, row * blocks);
      row += slice.rows;
      yield quantized.values;
    }
  };
  const table = graph.streamed('vocabulary.weight', 'uint8', [vocabulary, blocks, blockSize], values);
  const scale = graph.constant('vocabulary.scale', 'float32', [vocabulary, blocks], () => scales);
  return layers.products.blocks(x, { weights: table, scales: scale, outputs: vocabulary, inputs: width, blockSize });
}
