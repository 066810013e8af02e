/** DistilBERT is a BERT of half the layers, without token types and with names of its own. */
import { bertNames } from './bert-names.js';
import type { Config } from './config.js';

/**
 * Its config.json in BERT's words.
 *
 * Source: Sanh et al., 2019; transformers' configuration_distilbert.py, which has the defaults.
 */
export function bertConfigOf(config: Config): Config {
  const { dim = 768, n_heads = 12, n_layers = 6, hidden_dim = 4 * 768, activation = 'gelu' } = config;
  return {
    ...config,
    hidden_size: dim,
    num_attention_heads: n_heads,
    num_hidden_layers: n_layers,
    intermediate_size: hidden_dim,
    hidden_act: activation,
    layer_norm_eps: 1e-12,
    type_vocab_size: 0,
  };
}

/** A tensor's name in BERT's words. */
export const bertNameOf = bertNames('transformer.layer', {
  'attention.q_lin': 'attention.self.query',
  'attention.k_lin': 'attention.self.key',
  'attention.v_lin': 'attention.self.value',
  'attention.out_lin': 'attention.output.dense',
  sa_layer_norm: 'attention.output.LayerNorm',
  'ffn.lin1': 'intermediate.dense',
  'ffn.lin2': 'output.dense',
  output_layer_norm: 'output.LayerNorm',
});
