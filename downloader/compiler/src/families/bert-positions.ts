import type { Graph } from '../graph/graph.js';
import type { ConfigReader } from './config.js';

/** Architectures whose first token has position 0. */
const FROM_ZERO: readonly string[] = ['bert', 'distilbert'];

/** Rows of the table of positions, and which of them is the first token's: RoBERTa's begin behind the padding token's. */
export function bertPositions(config: ConfigReader): {
  readonly first: number;
  readonly count: number;
  /** The token that has the row before the first one's, wherever it is in a text. */
  readonly padding: number | undefined;
} {
  const count = config.count('max_position_embeddings', 512);
  if (FROM_ZERO.includes(config.text('model_type'))) return { first: 0, count, padding: undefined };
  const padding = config.index('pad_token_id', count - 1, 1);
  return { first: padding + 1, count, padding };
}

/**
 * Rows of `table`, which begins with the padding token's, by `ids` [batch, length]: that token's, which a tokenizer with other ids may
 * give to a token of every text, or the next one for each other token.
 *
 * Source: transformers' modeling_roberta.py (create_position_ids_from_input_ids).
 */
export function positionsBehind(graph: Graph, padding: number, table: string, ids: string): string {
  const isOther = graph.op('Not', [graph.op('Equal', [ids, graph.index(padding)])]);
  const others = graph.cast(isOther, 'int64');
  const counted = graph.op('CumSum', [others, graph.index(1)]);
  return graph.op('Gather', [table, graph.op('Mul', [counted, others])]);
}
