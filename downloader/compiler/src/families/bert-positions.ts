import type { ConfigReader } from './config.js';

/** Architectures whose first token has position 0. */
const FROM_ZERO: readonly string[] = ['bert', 'distilbert'];

/** Rows of the table of positions, and which of them is the first token's: RoBERTa's begin behind the padding token's. */
export function bertPositions(config: ConfigReader): { readonly first: number; readonly count: number } {
  const count = config.count('max_position_embeddings', 512);
  const first = FROM_ZERO.includes(config.text('model_type')) ? 0 : config.index('pad_token_id', count - 1, 1) + 1;
  return { first, count };
}
