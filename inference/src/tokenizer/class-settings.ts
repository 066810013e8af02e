import { isObject, type JsonObject, objectAt, stringAt } from '../json.js';

/** Classes whose normalizer follows tokenizer_config.json, whatever tokenizer.json says. */
const BERT_CLASSES = ['BertTokenizer', 'DistilBertTokenizer', 'ElectraTokenizer', 'MPNetTokenizer'];

/**
 * A tokenizer.json as transformers' class of `tokenizer_class` changes it by the settings of tokenizer_config.json, or by its defaults where
 * that has none.
 *
 * Source: transformers, models/bert/tokenization_bert_fast.py and models/roberta/tokenization_roberta_fast.py.
 */
export function withClassSettings(json: JsonObject, settings: JsonObject): JsonObject {
  const name = stringAt(settings, 'tokenizer_class')?.replace(/Fast$/, '') ?? '';
  const { normalizer, pre_tokenizer: preTokenizer } = json;
  if (BERT_CLASSES.includes(name) && isObject(normalizer) && normalizer.type === 'BertNormalizer')
    return { ...json, normalizer: { ...normalizer, ...bertNormalizerSettings(settings) } };
  if (name === 'RobertaTokenizer' && isObject(preTokenizer) && preTokenizer.type === 'ByteLevel')
    return { ...json, pre_tokenizer: { ...preTokenizer, add_prefix_space: settings.add_prefix_space === true } };
  return json;
}

/** The settings of BERT's normalizer that tokenizer_config.json has under other names. */
export function bertNormalizerSettings(settings: JsonObject): JsonObject {
  return {
    handle_chinese_chars: settings.tokenize_chinese_chars !== false,
    strip_accents: typeof settings.strip_accents === 'boolean' ? settings.strip_accents : null,
    lowercase: settings.do_lower_case !== false,
  };
}

/** Whether a text that is too long loses its beginning instead of its end. */
export function truncatesLeft(json: JsonObject, settings: JsonObject): boolean {
  const side = stringAt(settings, 'truncation_side') ?? stringAt(objectAt(json, 'truncation'), 'direction');
  return side?.toLowerCase() === 'left';
}
