import type { JsonObject } from '../../json.js';
import { addedTokens, declaredTokens, tokenAt } from './added-tokens.js';

/**
 * BERT's tokenizer: a line of vocab.txt is a token, its number the id. Settings are those of tokenizer_config.json.
 *
 * Source: transformers, convert_slow_tokenizer.py (BertConverter) and models/bert.
 */
export function wordPieceJson(words: readonly string[], settings: JsonObject): JsonObject {
  const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
  const named = (key: string, byDefault: string) => tokenAt(settings, key) ?? byDefault;
  const [unknown, before, after] = [
    named('unk_token', '[UNK]'),
    named('cls_token', '[CLS]'),
    named('sep_token', '[SEP]'),
  ];
  const special = [named('pad_token', '[PAD]'), unknown, before, after, named('mask_token', '[MASK]')];
  const missing = [unknown, before, after].filter((token) => vocab[token] === undefined);
  if (missing.length > 0) throw new Error(`Expected vocab.txt to have ${missing.join(' and ')}.`);
  const added = new Map(
    special.flatMap((token) => (vocab[token] === undefined ? [] : [[token, vocab[token]] as const])),
  );
  const lowerCase = settings.do_lower_case !== false;
  return {
    added_tokens: [...addedTokens(added), ...declaredTokens(settings, added)],
    normalizer: {
      type: 'BertNormalizer',
      clean_text: true,
      handle_chinese_chars: settings.tokenize_chinese_chars !== false,
      strip_accents: typeof settings.strip_accents === 'boolean' ? settings.strip_accents : null,
      lowercase: lowerCase,
    },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: aroundText(before, after, vocab),
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: unknown,
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

function aroundText(before: string, after: string, vocab: Readonly<Record<string, number>>): JsonObject {
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const special = [before, after].map((name) => [name, { id: name, ids: [vocab[name]], tokens: [name] }]);
  return {
    type: 'TemplateProcessing',
    single: [token(before), text('A'), token(after)],
    pair: [token(before), text('A'), token(after), text('B'), token(after)],
    special_tokens: Object.fromEntries(special),
  };
}
