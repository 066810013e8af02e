/** What the server reads of a tokenizer.json. */
import { asObject, type JsonObject } from '@heimdex/common';

/** The types of its parts, by key. */
const TOKENIZER_COMPONENTS = {
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

/** What the server does not read in a tokenizer.json, such as `pre_tokenizer UnicodeScripts`. */
export function unknownComponents(json: JsonObject): readonly string[] {
  const unknown = Object.entries(TOKENIZER_COMPONENTS).flatMap(([key, known]) =>
    partsIn(json[key]).flatMap(({ type, pattern }) => [
      // Models of old files have no type.
      ...(typeof type !== 'string' || known.some((one) => one === type) ? [] : [`${key} ${type}`]),
      ...unknownSyntax(asObject(pattern).Regex).map((syntax) => `${key} ${type} with ${syntax}`),
    ]),
  );
  const rewriting = rewritingBeforeStart(json.pre_tokenizer);
  if (rewriting !== undefined) unknown.push(`pre_tokenizer Metaspace with prepend_scheme first behind ${rewriting}`);
  return [...unknown, ...withoutId(json)];
}

/** The added tokens, and those that are added around texts, whose id is no number. */
function withoutId(json: JsonObject): readonly string[] {
  const added = Array.isArray(json.added_tokens) ? json.added_tokens.map(asObject) : [];
  return [
    ...added.flatMap(({ content, id }) => lackOfId('added token', content, [id])),
    ...partsIn(json.post_processor).flatMap(({ type, special_tokens: special, cls, sep }) => [
      ...[cls, sep].flatMap((pair) =>
        Array.isArray(pair) ? lackOfId(`post_processor ${type} with`, pair[0], [pair[1]]) : [],
      ),
      ...Object.entries(asObject(special)).flatMap(([token, described]) =>
        lackOfId(`post_processor ${type} with`, token, asObject(described).ids),
      ),
    ]),
  ];
}

function lackOfId(what: string, token: unknown, ids: unknown): readonly string[] {
  return Array.isArray(ids) && ids.every(isTokenId) ? [] : [`${what} ${JSON.stringify(token)} without a number as id`];
}

/** As tokenizers reads ids: any other value is an error there. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Pre-tokenizers that write other letters: where the text began is not known behind them. */
const REWRITING: readonly unknown[] = ['ByteLevel', 'Metaspace'];

/** The type of a pre-tokenizer of REWRITING in front of a Metaspace that marks the start of a text alone. */
export function rewritingBeforeStart(preTokenizer: unknown): string | undefined {
  let rewriting: string | undefined;
  for (const { type, prepend_scheme: scheme } of partsIn(preTokenizer)) {
    if (rewriting !== undefined && type === 'Metaspace' && scheme === 'first') return rewriting;
    if (REWRITING.includes(type)) rewriting = String(type);
  }
  return undefined;
}

/** A part and those in it. */
function partsIn(value: unknown): readonly JsonObject[] {
  const part = asObject(value);
  const { normalizers, pretokenizers, processors } = part;
  const inner = [normalizers, pretokenizers, processors].flatMap((parts) => (Array.isArray(parts) ? parts : []));
  return [part, ...inner.flatMap(partsIn)];
}

/** Escapes, beginnings of groups, and named classes of Oniguruma's expressions. */
const SYNTAX = /\\(?:[pP]\{[^}]*\}|\d+|.)|\(\?(?:<?[=!]|[:>]|i:|<\w+>|[^()]*?[:)]|)|\[:\^?\w+:\]/gs;
/** Those of them that are converted to JavaScript's. Options other than (?i: have another meaning there, or none. */
const CONVERTED =
  /^(?:\\[^A-Za-z]|\\[ABDHSWZabcdefhknrstuvwxz]|\(\?(?:<?[=!]|[:>]|i:|<\w+>)|\[:\^?(?:alpha|alnum|digit|lower|upper|space|blank|punct|cntrl|word|xdigit):\])$/;
const PROPERTY = /^\\[pP]\{(\w+)\}$/;

/** What the server does not read in an `expression` (`Regex` of a `pattern`), such as `\R`. */
export function unknownSyntax(expression: unknown): readonly string[] {
  if (typeof expression !== 'string') return [];
  const all = new Set(Array.from(expression.matchAll(SYNTAX), ([syntax]) => syntax));
  return [...all].filter((syntax) => !CONVERTED.test(syntax) && !isProperty(PROPERTY.exec(syntax)?.[1]));
}

function isProperty(name: string | undefined): boolean {
  return (
    name === 'Word' || (name !== undefined && [name, `Script=${name}`].some((property) => isValid(`\\p{${property}}`)))
  );
}

function isValid(expression: string): boolean {
  try {
    return new RegExp(expression, 'u') !== undefined;
  } catch {
    return false;
  }
}
