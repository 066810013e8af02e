/** Tokens outside of a vocabulary's pieces, and what tokenizer_config.json says of tokens. */
import { isObject, type JsonObject, objectAt, stringAt } from '../../json.js';

/** As in tokenizer.json. */
export interface AddedToken extends JsonObject {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** Times are no special tokens: "<|0.00|>". */
const TIME = /^<\|\d+\.\d+\|>$/;

/** Tokens as Python's slow tokenizers have theirs. */
export function addedTokens(ids: ReadonlyMap<string, number>): readonly AddedToken[] {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  return [...ids].map(([content, id]) => ({ id, content, ...plain, special: !TIME.test(content) }));
}

/** Words of added_tokens.json, which are found in the normalized text. */
export function addedWords(file: JsonObject, known: ReadonlyMap<string, number>): readonly AddedToken[] {
  const plain = { single_word: false, lstrip: false, rstrip: false, normalized: true, special: false };
  return Object.entries(file).flatMap(([content, id]) =>
    typeof id === 'number' && !known.has(content) ? [{ id, content, ...plain }] : [],
  );
}

/** The ids of those of the names that a vocabulary has. */
export function idsOf(names: readonly string[], ids: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const known = new Set(names);
  return new Map([...ids].filter(([token]) => known.has(token)));
}

/** Tokens that `added_tokens_decoder` of tokenizer_config.json declares, except known ones. */
export function declaredTokens(
  settings: JsonObject,
  known: ReadonlyMap<string, number> = new Map(),
): readonly AddedToken[] {
  return Object.entries(objectAt(settings, 'added_tokens_decoder')).flatMap(([id, token]) => {
    const content = isObject(token) ? stringAt(token, 'content') : undefined;
    if (!isObject(token) || content === undefined || known.has(content) || !/^\d+$/.test(id)) return [];
    const flag = (name: string) => token[name] === true;
    return [
      {
        id: Number(id),
        content,
        single_word: flag('single_word'),
        lstrip: flag('lstrip'),
        rstrip: flag('rstrip'),
        normalized: flag('normalized'),
        special: flag('special'),
      },
    ];
  });
}

/** A token's name in tokenizer_config.json: a string, or an object with its content. */
export function tokenAt(settings: JsonObject, key: string): string | undefined {
  return stringAt(settings, key) ?? stringAt(objectAt(settings, key), 'content');
}
