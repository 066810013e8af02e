/**
 * Names of the inputs and outputs of Whisper's graphs: the compiler writes them, and the server feeds and reads them. Those with `heimdex`
 * are ours, which the server adds to graphs of other exports too.
 */
export const WHISPER_VALUES = {
  /** Log-mel spectrogram, float32 [1, mels, frames]. */
  features: 'input_features',
  /** Indexes of the convolutions' output rows to compute, int64 [rows]. */
  rows: 'heimdex_rows',
  /** Position of each of them among the 1500, int64 [rows]. */
  positions: 'heimdex_positions',
  /** Whether rows represent several positions, bool [1]. */
  merged: 'heimdex_merged',
  /** If so, the logarithm of how many, float32 [1, 1, rows, rows]. */
  logCounts: 'heimdex_log_counts',
  /** Output of the encoder, float32 [1, rows, width]. */
  encoded: 'last_hidden_state',
  /** Source of the cross attention's keys and values, float32 [audios, positions, width]. */
  states: 'encoder_hidden_states',
  /** int64 [rows, tokens]. */
  tokens: 'input_ids',
  /** Tokens in the cache, int64 [1]. */
  pastLength: 'heimdex_past_length',
  /** Added to the scores of self-attention, float32 [1, 1, tokens, room + tokens]. */
  mask: 'heimdex_step_mask',
  /** Added to the scores of cross attention, float32 [audios or 1, 1, 1, positions or 1]. */
  encoderLogCounts: 'heimdex.encoder.log_counts',
  /** Indexes of the run's tokens that get logits, int64 [positions]. */
  logitPositions: 'heimdex_logit_positions',
  /** float32 [rows, positions, vocabulary]. */
  logits: 'logits',
} as const;

/** Input keys or values: of the tokens so far [rows, heads, room, size], of the audio [audios, heads, positions, size]. */
export function pastName(layer: number | string, part: 'decoder' | 'encoder', side: 'key' | 'value'): string {
  return `past_key_values.${layer}.${part}.${side}`;
}

/** Output keys or values: of the tokens of this run [rows, heads, tokens, size], of the audio in the same shape as the input. */
export function presentName(layer: number | string, part: 'decoder' | 'encoder', side: 'key' | 'value'): string {
  return `present.${layer}.${part}.${side}`;
}

/** Weights of a layer's cross attention, float32 [audios, heads, tokens of all rows of an audio, positions]. */
export function attentionsName(layer: number): string {
  return `cross_attentions.${layer}`;
}
