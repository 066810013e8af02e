import type { JsonObject } from '../../json.js';
import { addedTokens, declaredTokens } from './added-tokens.js';

/**
 * Whisper's tokenizer: byte-level BPE. Special tokens are those of added_tokens.json or of `added_tokens_decoder` in tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (WhisperConverter).
 */
export function byteLevelJson(
  vocab: JsonObject,
  merges: readonly string[],
  added: JsonObject,
  settings: JsonObject,
): JsonObject {
  const ids = new Map(
    [...Object.entries(vocab), ...Object.entries(added)].flatMap(([token, id]) =>
      typeof id === 'number' && (Object.hasOwn(added, token) || SPECIAL.test(token)) ? [[token, id] as const] : [],
    ),
  );
  return {
    added_tokens: [...addedTokens(ids), ...declaredTokens(settings, ids)].sort((one, other) => one.id - other.id),
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: settings.add_prefix_space === true,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      vocab,
      // The first line of merges.txt is a version.
      merges: merges.filter((line) => line !== '' && !line.startsWith('#version')),
    },
  };
}

const SPECIAL = /^<\|.*\|>$/;
