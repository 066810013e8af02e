import type { JsonObject } from '../../json.js';
import { addedTokens, declaredTokens, idsOf, tokenAt } from './added-tokens.js';
import { aroundText } from './around-text.js';

/**
 * BERT's tokenizer: a line of vocab.txt is a token, its number the id. Settings are those of tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (BertConverter) and models/bert.
 */
export function wordPieceJson(words: readonly string[], settings: JsonObject): JsonObject {
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
  return {
    added_tokens: [...addedTokens(added), ...declaredTokens(settings, added)],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: settings.tokenize_chinese_chars !== false,
      strip_accents: typeof settings.strip_accents === 'boolean' ? settings.strip_accents : null,
      lowercase: settings.do_lower_case !== false,
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
