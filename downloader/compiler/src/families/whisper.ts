import { presentName, WHISPER_VALUES as VALUES } from '@heimdex/onnx';
import type { ExpectedUnused } from '../checkpoint/weights.js';
import type { Layers } from '../graph/layers.js';
import type { ConfigReader } from './config.js';
import { EPSILON, normedFeedForward, sizesOf } from './whisper-parts.js';

/** Rows of the encoder for 30 s. */
const POSITIONS = 1500;

/** transformers' prefix; OpenAI's files have none. */
export const WHISPER_PREFIXES = ['model.'] as const;

/** All tensors of a Whisper are needed by one of its three graphs, which share the token table. */
export const WHISPER_UNUSED: ExpectedUnused = {
  'alignment heads of a .pt file': /^alignment_heads$/,
  'a mask that is worked out': /^decoder\.mask$/,
};

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
  // The server's windows have 30 s.
  config.expect('max_source_positions', POSITIONS);

  const features = graph.input(VALUES.features, 'float32', [1, mels, 'frames']);
  const rows = graph.input(VALUES.rows, 'int64', ['rows']);
  const positions = graph.input(VALUES.positions, 'int64', ['rows']);
  const merged = {
    condition: graph.input(VALUES.merged, 'bool', [1]),
    logCounts: graph.input(VALUES.logCounts, 'float32', [1, 1, 'scored', 'scored']),
  };
  const convolved = (x: string, name: string, channels: number, stride: number) =>
    layers.activation(layers.convolution(x, name, [width, channels, 3], { strides: [stride], pads: [1, 1] }), 'gelu');
  const sound = convolved(convolved(features, 'encoder.conv1', mels, 1), 'encoder.conv2', width, 2);
  const chosen = graph.op('Gather', [graph.op('Transpose', [sound], { perm: [0, 2, 1] }), rows], { axis: 1 });
  const table = layers.tensor('encoder.embed_positions.weight', [POSITIONS, width]);
  const positional = graph.op('Gather', [table, positions]);
  const length = graph.op('Shape', [rows]);
  const dims = graph.shape(1, length, width);
  let hidden = graph.op('Reshape', [graph.op('Add', [chosen, positional]), graph.integers(-1, width)]);
  for (let index = 0; index < sizes.layers; index++) {
    const name = `encoder.layers.${index}`;
    const first = layers.norm(hidden, `${name}.self_attn_layer_norm`, width, EPSILON);
    const attention = { width, heads: sizes.heads, dims, merged };
    const context = layers.attention(first, `${name}.self_attn`, ['q_proj', 'k_proj', 'v_proj'], attention);
    const out = { name: `${name}.self_attn.out_proj`, outputs: width };
    hidden = graph.op('Add', [hidden, layers.linear(context, out, width, 'attention output')]);
    hidden = graph.op('Add', [hidden, normedFeedForward(layers, hidden, name, sizes)]);
    graph.cut();
  }
  const normed = layers.norm(hidden, 'encoder.layer_norm', width, EPSILON);
  graph.output(VALUES.encoded, graph.op('Reshape', [normed, dims]), [1, 'rows', width]);
}

/** Computed once per audio: the keys and values that the decoder's cross attention reads, for every layer. */
export function buildWhisperCross(layers: Layers, config: ConfigReader): void {
  const { graph } = layers;
  const { width, heads, size, layers: count } = sizesOf(config, 'decoder');
  const states = graph.input(VALUES.states, 'float32', ['audios', 'positions', width]);
  const length = graph.sizeOf(states, 1);
  const dims = graph.shape(-1, length, heads, size);
  const flat = graph.op('Reshape', [states, graph.integers(-1, width)]);
  for (let index = 0; index < count; index++) {
    const name = `decoder.layers.${index}.encoder_attn`;
    const projections = ['k_proj', 'v_proj'].map((projection) => ({ name: `${name}.${projection}`, outputs: width }));
    const joined = layers.joined(flat, `${name}.kv`, projections, width, 'attention input');
    const [key = '', value = ''] = graph.split(joined, 2, 1);
    for (const [side, part] of [
      ['key', key],
      ['value', value],
    ] as const) {
      const turned = graph.op('Transpose', [graph.op('Reshape', [part, dims])], { perm: [0, 2, 1, 3] });
      graph.output(presentName(index, 'encoder', side), turned, ['audios', heads, 'positions', size]);
    }
    graph.cut();
  }
}
