/** What Whisper's encoder and decoder share. */
import type { Layers } from '../graph/layers.js';
import { type ConfigReader, headSize } from './config.js';
import type { FeedForwardSizes } from './feed-forward.js';

/** Of every layer norm. */
export const EPSILON = 1e-5;

export interface Sizes extends FeedForwardSizes {
  readonly layers: number;
  readonly heads: number;
  /** Of a head. */
  readonly size: number;
}

export function sizesOf(config: ConfigReader, part: 'encoder' | 'decoder'): Sizes {
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

/** A layer's last norm and its two feed-forward products: [rows, width]. */
export function normedFeedForward(
  layers: Layers,
  hidden: string,
  name: string,
  { width, feedForward: inner, activation }: Sizes,
): string {
  const linear = { name: `${name}.fc1`, outputs: inner };
  const first = layers.normed(
    hidden,
    { name: `${name}.final_layer_norm`, epsilon: EPSILON },
    { key: linear.name, layers: [linear], kind: 'feed-forward 1' },
    width,
  );
  return layers.linear(
    layers.activation(first, activation),
    { name: `${name}.fc2`, outputs: width },
    inner,
    'feed-forward 2',
  );
}
