/** What the server reads of a tokenizer.json. */
import { asObject, type JsonObject, objectAt } from '@heimdex/common';

/** The types of its parts, by key. */
export const TOKENIZER_COMPONENTS = {
  normalizer: [
    'Sequence',
    'BertNormalizer',
    'Precompiled',
    'Lowercase',
    'Nmt',
    'ByteLevel',
    'Strip',
    'Replace',
    'Prepend',
    'StripAccents',
    'NFC',
    'NFD',
    'NFKC',
    'NFKD',
  ],
  pre_tokenizer: [
    'Sequence',
    'BertPreTokenizer',
    'WhitespaceSplit',
    'Whitespace',
    'Punctuation',
    'Digits',
    'Split',
    'CharDelimiterSplit',
    'FixedLength',
    'Metaspace',
    'ByteLevel',
  ],
  post_processor: ['Sequence', 'TemplateProcessing', 'ByteLevel', 'BertProcessing', 'RobertaProcessing'],
  model: ['Unigram', 'WordPiece', 'BPE', 'WordLevel'],
} as const;

type Key = keyof typeof TOKENIZER_COMPONENTS;
/** A type of the parts of one key. */
export type TokenizerComponent<Name extends Key> = (typeof TOKENIZER_COMPONENTS)[Name][number];

/** The parts of a tokenizer.json that the server does not read, such as `pre_tokenizer UnicodeScripts`. */
export function unknownComponents(json: JsonObject): readonly string[] {
  const unknown = Object.entries(TOKENIZER_COMPONENTS).flatMap(([key, known]) =>
    typesIn(json[key]).flatMap((type) => (known.some((one) => one === type) ? [] : [`${key} ${type}`])),
  );
  const { type, continuing_subword_prefix: prefix } = objectAt(json, 'model');
  if (type === 'BPE' && prefix) unknown.push(`model BPE with continuing_subword_prefix ${JSON.stringify(prefix)}`);
  return unknown;
}

/** A part's type and those of the parts in it. */
function typesIn(value: unknown): readonly string[] {
  const { type, normalizers, pretokenizers, processors } = asObject(value);
  const inner = [normalizers, pretokenizers, processors].flatMap((parts) => (Array.isArray(parts) ? parts : []));
  // Models of old files have none.
  return [...(typeof type === 'string' ? [type] : []), ...inner.flatMap(typesIn)];
}
