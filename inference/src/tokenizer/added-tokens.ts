import { isObject, type JsonObject } from '../json.js';
import { isSpace, type Normalizer } from './normalizers.js';

/** A section of a text: the id of an added token in it, or the text between two of them. */
export type Section = { readonly id: number } | { readonly text: string };

interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Includes the spaces before (`lstrip`) or after it (`rstrip`). */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Matches only if not adjacent to a letter or digit. */
  readonly singleWord: boolean;
}

/** Finds tokens added to a vocabulary, such as `<s>`, in a text. */
export class AddedTokens {
  readonly #raw: TokenFinder;
  readonly #normalized: TokenFinder;

  /** `tokens` is `added_tokens` of tokenizer.json. */
  constructor(tokens: unknown, normalize: Normalizer) {
    const all = Array.isArray(tokens) ? tokens.filter(isObject) : [];
    const isRaw = (token: JsonObject): boolean => !(token.normalized ?? token.special !== true);
    this.#raw = new TokenFinder(all.filter(isRaw).map((token) => readToken(token)));
    this.#normalized = new TokenFinder(
      all
        .filter((token) => !isRaw(token))
        .map((token) => readToken({ ...token, content: normalize(String(token.content)) })),
    );
  }

  /** Splits the original text. */
  split(text: string): Iterable<Section> {
    return this.#raw.split(text);
  }

  /** Splits a section after normalization. */
  splitNormalized(text: string): Iterable<Section> {
    return this.#normalized.split(text);
  }
}

function readToken(token: JsonObject): AddedToken {
  return {
    id: Number(token.id),
    content: String(token.content),
    lstrip: token.lstrip === true,
    rstrip: token.rstrip === true,
    singleWord: token.single_word === true,
  };
}

class TokenFinder {
  readonly #tokens: ReadonlyMap<string, AddedToken>;
  readonly #pattern: RegExp | undefined;

  constructor(tokens: readonly AddedToken[]) {
    this.#tokens = new Map(tokens.filter(({ content }) => content !== '').map((token) => [token.content, token]));
    const longestFirst = [...this.#tokens.keys()].sort((one, other) => other.length - one.length);
    const escaped = longestFirst.map((content) => content.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
    this.#pattern = escaped.length === 0 ? undefined : new RegExp(escaped.join('|'), 'g');
  }

  *split(text: string): Iterable<Section> {
    let done = 0;
    for (const match of this.#pattern === undefined ? [] : text.matchAll(this.#pattern)) {
      const token = this.#tokens.get(match[0]);
      let start = match.index;
      let end = start + match[0].length;
      if (token === undefined || start < done || (token.singleWord && touchesWord(text, start, end))) continue;
      while (token.lstrip && start > done && isSpace(text, start - 1)) start -= 1;
      while (token.rstrip && end < text.length && isSpace(text, end)) end += 1;
      if (start > done) yield { text: text.slice(done, start) };
      yield { id: token.id };
      done = end;
    }
    if (done < text.length) yield { text: text.slice(done) };
  }
}

function touchesWord(text: string, start: number, end: number): boolean {
  return (
    /[\p{L}\p{N}\p{M}_]$/u.test(text.slice(Math.max(0, start - 2), start)) ||
    /^[\p{L}\p{N}\p{M}_]/u.test(text.slice(end, end + 2))
  );
}
