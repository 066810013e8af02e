import type { JsonObject } from '../../json.js';
import { bertNormalizerSettings } from '../class-settings.js';
import { addedTokens, addedWords, declaredTokens, idsOf, tokenAt } from './added-tokens.js';
import { aroundText } from './around-text.js';

/**
 * BERT's tokenizer: a line of vocab.txt is a token, its number the id. `file` is added_tokens.json; settings are those of
 * tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (BertConverter) and models/bert.
 */
export function wordPieceJson(words: readonly string[], file: JsonObject, settings: JsonObject): JsonObject {
  const ids = new Map(words.map((word, id) => [word, id]));
  const named = (key: string, byDefault: string) => tokenAt(settings, key) ?? byDefault;
  const [unknown, before, after] = [
    named('unk_token', '[UNK]'),
    named('cls_token', '[CLS]'),
    named('sep_token', '[SEP]'),
  ];
  const special = [named('pad_token', '[PAD]'), unknown, before, after, named('mask_token', '[MASK]')];
  const missing = [unknown, before, after].filter((token) => !ids.has(token));
  if (missing.length > 0) throw new Error(`Expected vocab.txt to have ${missing.join(' and ')}.`);
  const added = idsOf(special, ids);
  const declared = declaredTokens(settings, added);
  return {
    added_tokens: [...addedTokens(added), ...(declared.length > 0 ? declared : addedWords(file, ids))],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      ...bertNormalizerSettings(settings),
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: aroundText([before], [after], ids),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(ids),
    },
  };
}
