import type { Config } from './config.js';

/** OpenAI's names of Whisper's tensors and transformers', in the order they are replaced. */
const RENAMED: readonly (readonly [RegExp, string])[] = [
  [/^(encoder|decoder)\.positional_embedding$/, '$1.embed_positions.weight'],
  [/^decoder\.token_embedding\./, 'decoder.embed_tokens.'],
  [/^encoder\.ln_post\./, 'encoder.layer_norm.'],
  [/^decoder\.ln\./, 'decoder.layer_norm.'],
  [/\.blocks\./, '.layers.'],
  [/\.cross_attn_ln\./, '.encoder_attn_layer_norm.'],
  [/\.attn_ln\./, '.self_attn_layer_norm.'],
  [/\.mlp_ln\./, '.final_layer_norm.'],
  [/\.cross_attn\./, '.encoder_attn.'],
  [/\.attn\./, '.self_attn.'],
  [/\.mlp\.0\./, '.fc1.'],
  [/\.mlp\.2\./, '.fc2.'],
  [/_attn\.query\./, '_attn.q_proj.'],
  [/_attn\.key\./, '_attn.k_proj.'],
  [/_attn\.value\./, '_attn.v_proj.'],
  [/_attn\.out\./, '_attn.out_proj.'],
];

/** Returns transformers' name of an OpenAI Whisper tensor, without the `model.` prefix. */
export function fromOpenAi(name: string): string {
  return RENAMED.reduce((renamed, [pattern, replacement]) => renamed.replace(pattern, replacement), name);
}

/** Returns the config.json that transformers would write, from the `dims` of a .pt file. */
export function configFromDims(dims: Readonly<Record<string, number>>): Config {
  return {
    model_type: 'whisper',
    d_model: dims.n_audio_state,
    num_mel_bins: dims.n_mels,
    max_source_positions: dims.n_audio_ctx,
    max_target_positions: dims.n_text_ctx,
    vocab_size: dims.n_vocab,
    encoder_layers: dims.n_audio_layer,
    encoder_attention_heads: dims.n_audio_head,
    encoder_ffn_dim: 4 * (dims.n_audio_state ?? 0),
    decoder_layers: dims.n_text_layer,
    decoder_attention_heads: dims.n_text_head,
    decoder_ffn_dim: 4 * (dims.n_text_state ?? 0),
  };
}
