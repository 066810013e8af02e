/** MPNet is a RoBERTa without token types and with names of its own, whose attention adds a learned number per head and distance. */
import type { Layers } from '../graph/layers.js';
import { bertNames } from './bert-names.js';
import type { Config, ConfigReader } from './config.js';

const { fround } = Math;

/** Its positions begin behind this one, whatever `pad_token_id` says. */
const PADDING = 1;
const BUCKETS = 32;

/**
 * Its config.json in BERT's words.
 *
 * Source: Song et al., 2020; transformers' configuration_mpnet.py, which has the defaults, and modeling_mpnet.py.
 */
export function bertConfigOf(config: Config): Config {
  return {
    vocab_size: 30527,
    relative_attention_num_buckets: BUCKETS,
    ...config,
    type_vocab_size: 0,
    pad_token_id: PADDING,
  };
}

/** A tensor's name in BERT's words. */
export const bertNameOf = bertNames('encoder.layer', {
  'attention.attn.q': 'attention.self.query',
  'attention.attn.k': 'attention.self.key',
  'attention.attn.v': 'attention.self.value',
  'attention.attn.o': 'attention.output.dense',
  'attention.LayerNorm': 'attention.output.LayerNorm',
});

/**
 * What is added to the scores of a text of `length` (int64 [1]) tokens, float32 [1, heads, length, length]; undefined for a BERT
 * without relative positions.
 */
export function relativePositions(
  { graph, weights }: Layers,
  config: ConfigReader,
  heads: number,
  length: string,
  maxLength: number,
): string | undefined {
  if (config.config.relative_attention_num_buckets === undefined) return undefined;
  // The reference distributes distances over this many, however large its table is.
  config.expect('relative_attention_num_buckets', BUCKETS);
  const name = 'encoder.relative_attention_bias.weight';
  const farthest = maxLength - 1;
  // By distance, from the farthest before a token to the farthest behind it.
  const distances = 2 * farthest + 1;
  const byDistance = () => {
    const table = weights.take(name, [BUCKETS, heads]);
    return Float32Array.from({ length: heads * distances }, (_, index) => {
      const bucket = bucketOf((index % distances) - farthest, BUCKETS);
      return table[bucket * heads + Math.floor(index / distances)] as number;
    });
  };
  const table = graph.constant('encoder.relative_attention_bias', 'float32', [1, heads, distances], byDistance);
  const count = graph.op('Squeeze', [length]);
  const tokens = graph.op('Range', [graph.index(0), count, graph.index(1)]);
  const from = graph.op('Unsqueeze', [graph.op('Sub', [tokens, graph.index(farthest)]), graph.integers(1)]);
  return graph.op('Gather', [table, graph.op('Sub', [tokens, from])], { axis: 2 });
}

const MAX_DISTANCE = 128;

/**
 * The bucket of a distance (key minus query): a half for keys behind, of each half a half for one distance each, the rest logarithmic.
 * In single precision, as the reference computes it.
 *
 * Source: Raffel et al., 2020; transformers' modeling_mpnet.py.
 */
export function bucketOf(distance: number, buckets: number): number {
  const half = buckets >> 1;
  const exact = half >> 1;
  const far = Math.abs(distance);
  const logarithm = fround(fround(Math.log(fround(far / exact))) / fround(Math.log(MAX_DISTANCE / exact)));
  const bucket = far < exact ? far : Math.min(half - 1, exact + Math.trunc(fround(logarithm * (half - exact))));
  return distance > 0 ? half + bucket : bucket;
}
