import type { ConfigReader } from './config.js';

/** Rows of the table of positions, and which of them is the first token's: RoBERTa's begin behind the padding token's. */
export function bertPositions(config: ConfigReader): { readonly first: number; readonly count: number } {
  const count = config.count('max_position_embeddings', 512);
  const first = config.text('model_type') === 'bert' ? 0 : config.index('pad_token_id', count - 1, 1) + 1;
  return { first, count };
}
