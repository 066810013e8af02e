import { attentionsName, pastName, presentName, WHISPER_VALUES as VALUES } from '@heimdex/onnx';
import type { Layers } from '../graph/layers.js';
import type { ConfigReader } from './config.js';
import { EPSILON, normedFeedForward, type Sizes, sizesOf } from './whisper-parts.js';
import { vocabularyScores } from './whisper-vocabulary.js';

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
  const length = graph.sizeOf(ids, 1);
  const table = layers.tensor('decoder.embed_positions.weight', [positionCount, width]);
  const positional = graph.op('Slice', [table, pastLength, graph.op('Add', [pastLength, length]), graph.integers(0)]);
  const dims = graph.shape(-1, length, width);
  const perToken = graph.shape(-1, length, heads, size);
  let hidden = graph.op('Reshape', [graph.op('Add', [tokens, positional]), graph.integers(-1, width)]);
  const shared: Shared = { sizes, perToken, mask, logCounts };
  for (let index = 0; index < sizes.layers; index++) {
    const name = `decoder.layers.${index}`;
    hidden = graph.op('Add', [hidden, selfAttention(layers, hidden, index, shared)]);
    hidden = graph.op('Add', [hidden, crossAttention(layers, hidden, index, shared)]);
    hidden = graph.op('Add', [hidden, normedFeedForward(layers, hidden, name, sizes)]);
    graph.cut();
  }
  const chosen = graph.op('Gather', [graph.op('Reshape', [hidden, dims]), logitPositions], { axis: 1 });
  const rows = graph.op('Reshape', [chosen, graph.integers(-1, width)]);
  const scores = vocabularyScores(layers, rows, vocabulary, width);
  const shape = graph.shape(-1, graph.op('Shape', [logitPositions]), vocabulary);
  graph.named(VALUES.logits, graph.op('Reshape', [scores, shape]), ['rows', 'logit_positions', vocabulary]);
}

/** Values that all layers read. */
interface Shared {
  readonly sizes: Sizes;
  /** int64 [4]: rows, tokens, heads, size. */
  readonly perToken: string;
  readonly mask: string;
  readonly logCounts: string;
  /** int64 [1]: tokens that the cache has room for. The same for all layers. */
  room?: string;
  /** int64 [4]: audios, tokens of all rows of one, heads, size. */
  perAudio?: string;
}

/** The scores against the cache and those against the run's own tokens, concatenated. Returns [rows x tokens, width]. */
function selfAttention(layers: Layers, hidden: string, index: number, shared: Shared): string {
  const { graph } = layers;
  const { sizes, perToken, mask } = shared;
  const { width, heads, size } = sizes;
  const name = `decoder.layers.${index}.self_attn`;
  const linear = (projection: string) => ({ name: `${name}.${projection}`, outputs: width });
  const out = linear('out_proj');
  const outInputs = layers.smoothing(
    out.name,
    () => [layers.weights.take(`${out.name}.weight`, [width, width])],
    'attention output',
  );
  const projections = ['q_proj', 'k_proj', 'v_proj'].map(linear);
  const joined = layers.normed(
    hidden,
    { name: `${name}_layer_norm`, epsilon: EPSILON },
    { key: `${name}.qkv`, layers: projections, kind: 'attention input' },
    width,
    ofValues(outInputs),
  );
  const parts = graph.split(joined, 3, 1);
  const turned = (part = '') => graph.op('Transpose', [graph.op('Reshape', [part, perToken])], { perm: [0, 2, 1, 3] });
  const present = (side: 'key' | 'value', part: string | undefined) =>
    graph.named(presentName(index, 'decoder', side), turned(part), ['rows', heads, 'tokens', size]);
  const query = turned(parts[0]);
  const key = present('key', parts[1]);
  const value = present('value', parts[2]);
  const pastKey = graph.input(pastName(index, 'decoder', 'key'), 'float32', ['rows', heads, 'room', size]);
  const pastValue = graph.input(pastName(index, 'decoder', 'value'), 'float32', ['rows', heads, 'room', size]);
  const scaled = graph.op('Mul', [query, graph.scalar(size ** -0.5)]);
  const against = (keys: string) => graph.op('MatMul', [scaled, graph.op('Transpose', [keys], { perm: [0, 1, 3, 2] })]);
  const scores = graph.op('Add', [graph.op('Concat', [against(pastKey), against(key)], { axis: -1 }), mask]);
  const shares = graph.op('Softmax', [scores], { axis: -1 });
  shared.room ??= graph.op('Slice', [graph.op('Shape', [pastKey]), graph.integers(2), graph.integers(3)]);
  const { room } = shared;
  const part = (from: string, to: string) => graph.op('Slice', [shares, from, to, graph.integers(3)]);
  const context = graph.op('Add', [
    graph.op('MatMul', [part(graph.integers(0), room), pastValue]),
    graph.op('MatMul', [part(room, graph.integers(Number.MAX_SAFE_INTEGER)), value]),
  ]);
  const rows = rowsOf(layers, context, width);
  return layers.joined(rows, out.name, [out], width, 'attention output', { inputs: outInputs });
}

/** Divisors of queries, keys and values, of which only those of the values are not 1: an attention's outputs are sums of values. */
function ofValues(divisors: Float32Array | undefined): Float32Array | undefined {
  if (divisors === undefined) return undefined;
  const all = new Float32Array(3 * divisors.length).fill(1);
  all.set(divisors, 2 * divisors.length);
  return all;
}

/** All rows of one audio are queries together, so that its keys and values exist once. Returns [rows x tokens, width]. */
function crossAttention(layers: Layers, hidden: string, index: number, shared: Shared): string {
  const { graph } = layers;
  const { sizes, logCounts } = shared;
  const { width, heads, size } = sizes;
  const name = `decoder.layers.${index}.encoder_attn`;
  const linear = (projection: string) => ({ name: `${name}.${projection}`, outputs: width });
  const key = graph.input(pastName(index, 'encoder', 'key'), 'float32', ['audios', heads, 'positions', size]);
  const value = graph.input(pastName(index, 'encoder', 'value'), 'float32', ['audios', heads, 'positions', size]);
  const query = layers.normed(
    hidden,
    { name: `${name}_layer_norm`, epsilon: EPSILON },
    { key: `${name}.q_proj`, layers: [linear('q_proj')], kind: 'attention input' },
    width,
    // The scale of the scores.
    new Float32Array(width).fill(size ** 0.5),
  );
  shared.perAudio ??= graph.shape(
    graph.op('Slice', [graph.op('Shape', [key]), graph.integers(0), graph.integers(1)]),
    -1,
    heads,
    size,
  );
  const queries = graph.op('Transpose', [graph.op('Reshape', [query, shared.perAudio])], { perm: [0, 2, 1, 3] });
  const scores = graph.op('MatMul', [queries, graph.op('Transpose', [key], { perm: [0, 1, 3, 2] })]);
  const shares = graph.named(
    attentionsName(index),
    graph.op('Softmax', [graph.op('Add', [scores, logCounts])], { axis: -1 }),
    ['audios', heads, null, 'positions'],
  );
  const rows = rowsOf(layers, graph.op('MatMul', [shares, value]), width);
  return layers.linear(rows, linear('out_proj'), width, 'attention output');
}

/** An attention's context [rows or audios, heads, tokens, size] as [rows x tokens, width]. */
function rowsOf({ graph }: Layers, context: string, width: number): string {
  const turned = graph.op('Transpose', [context], { perm: [0, 2, 1, 3] });
  return graph.op('Reshape', [turned, graph.integers(-1, width)]);
}
