import type { Layers } from '../graph/layers.js';

export interface FeedForwardSizes {
  readonly width: number;
  /** Outputs of the first layer. */
  readonly feedForward: number;
  /** Name of the activation function in config.json. */
  readonly activation: string;
}

/** Two linear layers, by their names, with an activation function in between: [rows, width]. */
export function feedForward(
  layers: Layers,
  x: string,
  [first, second]: readonly [string, string],
  { width, feedForward: inner, activation }: FeedForwardSizes,
  kinds: readonly ['feed-forward 1', 'feed-forward 2'] | readonly ['head', 'head'] = [
    'feed-forward 1',
    'feed-forward 2',
  ],
): string {
  const widened = layers.linear(x, { name: first, outputs: inner }, width, kinds[0]);
  return layers.linear(layers.activation(widened, activation), { name: second, outputs: width }, inner, kinds[1]);
}
