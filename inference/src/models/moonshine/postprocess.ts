import type { JsonObject } from '../../json.js';
import { openLibrary } from '../../tokenizer/index.js';
import { compressionRatio } from '../decoding/compression-ratio.js';
import type { Decoded } from './network.js';
import type { UtteranceResult } from './window.js';

/** Decodes tokens to text with the repository's tokenizer.json. */
export type TokensToText = (tokens: readonly number[]) => string;

export function tokensToText(json: JsonObject, config: JsonObject): TokensToText {
  const library = openLibrary(json, config);
  // The library refuses an empty list.
  return (tokens) => (tokens.length === 0 ? '' : library.decode(tokens, { skip_special_tokens: true }).trim());
}

/** The result of one utterance. The end token counts in the mean, as in Whisper's reference code. */
export function toResult({ tokens, sumLogProb }: Decoded, textOf: TokensToText): UtteranceResult {
  const text = textOf(tokens);
  return {
    type: 'utterance',
    text,
    tokens,
    avgLogProb: sumLogProb / (tokens.length + 1),
    compressionRatio: compressionRatio(text),
  };
}
