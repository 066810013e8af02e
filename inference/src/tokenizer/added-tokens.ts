import { isObject, type JsonObject, objectAt, objectsAt } from '../json.js';
import { isSpace, type Normalizer } from './normalizers.js';
import { PieceTrie } from './piece-trie.js';
import { WORD_CHARACTER } from './unicode.js';

/** A section of a text: the id of an added token in it, or the text between two of them. */
export type Section = { readonly id: number } | { readonly text: string };

interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Includes the spaces before (`lstrip`) or after it (`rstrip`). */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Matches only if not adjacent to a word's character. */
  readonly singleWord: boolean;
}

/** Find the tokens added to a vocabulary, such as `<s>`: in the original text, and in what is between those after normalization. */
export interface AddedTokens {
  readonly raw: TokenFinder;
  readonly normalized: TokenFinder;
}

/** Reads `added_tokens` of tokenizer.json. Throws for one of which normalization leaves nothing. */
export function readAddedTokens(json: JsonObject, normalize: Normalizer): AddedTokens {
  const all = objectsAt(json, 'added_tokens');
  const isRaw = (token: JsonObject): boolean => !(token.normalized ?? token.special !== true);
  const others = all.filter((token) => !isRaw(token)).map(readToken);
  return {
    raw: new TokenFinder(all.filter(isRaw).map(readToken)),
    normalized: new TokenFinder(
      others.map((token) => ({ ...token, content: normalizedContent(token.content, normalize) })),
    ),
  };
}

/**
 * A tokenizer.json whose added tokens have the ids that Python's library gives them, whatever they say: that of the vocabulary, else the next one
 * behind it. Those that tokenizer_config.json declares replace them, or are added, as in transformers.
 */
export function withLibraryIds(json: JsonObject, declared: readonly JsonObject[]): JsonObject {
  const tokens = [...objectsAt(json, 'added_tokens'), ...declared].filter(
    ({ content }) => typeof content === 'string' && content !== '',
  );
  const { vocab } = objectAt(json, 'model');
  const pieces: readonly (readonly [piece: unknown, id: unknown])[] = Array.isArray(vocab)
    ? vocab.map((entry, id) => [Array.isArray(entry) ? entry[0] : undefined, id])
    : Object.entries(isObject(vocab) ? vocab : {});
  const contents = new Set(tokens.map(({ content }) => content));
  const ids = new Map(pieces.filter(([piece]) => contents.has(piece)));
  let next = pieces.length;
  // The last one with an id replaces those before it.
  const added = new Map<unknown, JsonObject>();
  for (const token of tokens) {
    if (!ids.has(token.content)) {
      ids.set(token.content, next);
      next += 1;
    }
    const id = ids.get(token.content);
    added.set(id, { ...token, id });
  }
  return { ...json, added_tokens: [...added.values()] };
}

/** An empty one is between any two characters for Python's library, which fails then, or not, by the text. */
function normalizedContent(content: string, normalize: Normalizer): string {
  const normalized = normalize(content);
  if (normalized === '' && content !== '')
    throw new Error(
      `Expected a tokenizer.json whose normalizer leaves something of each added token, got ${JSON.stringify(content)}.`,
    );
  return normalized;
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
  readonly #tokens: readonly AddedToken[];
  /** Of positions in `#tokens`. An expression of 100,000 tokens takes seconds to compile, one of a million two minutes. */
  readonly #trie = new PieceTrie();
  /** Where tokens may begin. */
  readonly #starts: RegExp;

  constructor(tokens: readonly AddedToken[]) {
    this.#tokens = tokens.filter(({ content }) => content !== '');
    const starts = new Set<string>();
    this.#tokens.forEach(({ content }, index) => {
      this.#trie.add(content, index);
      starts.add(`\\u${content.charCodeAt(0).toString(16).padStart(4, '0')}`);
    });
    this.#starts = new RegExp(`[${[...starts].join('')}]`, 'g');
  }

  *split(text: string): Iterable<Section> {
    let searched = 0;
    let done = 0;
    for (const { index } of text.matchAll(this.#starts)) {
      const token = index < searched ? undefined : this.#longestAt(text, index);
      if (token === undefined) continue;
      let start = index;
      let end = start + token.content.length;
      searched = end;
      if (token.singleWord && touchesWord(text, start, end)) continue;
      while (token.lstrip && start > done && isSpace(text, start - 1)) start -= 1;
      while (token.rstrip && end < text.length && isSpace(text, end)) end += 1;
      // The one before it has taken all of it as spaces, and this one takes spaces before it from there on.
      if (token.lstrip && end <= done) continue;
      if (start > done) yield { text: text.slice(done, start) };
      yield { id: token.id };
      done = end;
    }
    if (done < text.length) yield { text: text.slice(done) };
  }

  #longestAt(text: string, start: number): AddedToken | undefined {
    let longest = -1;
    let node = 0;
    for (let at = start; at < text.length; at += 1) {
      node = this.#trie.step(node, text.charCodeAt(at));
      if (node === 0) break;
      const index = this.#trie.pieceAt(node);
      if (index >= 0) longest = index;
    }
    return this.#tokens[longest];
  }
}

const ENDS_WITH_WORD = new RegExp(`${WORD_CHARACTER}$`, 'u');
const STARTS_WITH_WORD = new RegExp(`^${WORD_CHARACTER}`, 'u');

function touchesWord(text: string, start: number, end: number): boolean {
  return (
    ENDS_WITH_WORD.test(text.slice(Math.max(0, start - 2), start)) || STARTS_WITH_WORD.test(text.slice(end, end + 2))
  );
}
