import { isObject, type JsonObject, objectAt, stringAt } from '../json.js';
import { type AddedTokens, readAddedTokens } from './added-tokens.js';
import { BytePairModel } from './byte-pairs.js';
import { createNormalizer, keepsStart, type Normalizer } from './normalizers.js';
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizers.js';
import { lowerCase } from './unicode.js';
import { UnigramModel } from './unigram.js';
import { WordLevelModel } from './word-level.js';
import { CachedModel, type WordModel } from './word-model.js';
import { WordPieceModel } from './wordpiece.js';

/**
 * Creates a tokenizer, exact to Python's tokenizers for every code point. It stops at the limit: apart from normalization, a long text
 * costs no more than the tokens used of it. Throws for a tokenizer.json with unsupported components.
 *
 * @param lowerCases - Whether texts are lowered before they are normalized, but not the added tokens in them.
 */
export function createExactSource(json: JsonObject, lowerCases: boolean): ExactSource {
  const normalize = supported(json, 'normalizer', createNormalizer);
  return new ExactSource(
    lowerCases ? lowered(normalize) : normalize,
    supported(json, 'pre_tokenizer', createPreTokenizer),
    new CachedModel(supported(json, 'model', createModel)),
    readAddedTokens(json, normalize),
    supported(json, 'post_processor', readSpecialTokens),
    json.slow === true,
  );
}

function lowered(normalize: Normalizer): Normalizer {
  return Object.assign((text: string) => normalize(lowerCase(text)), {
    keepsStart: (text: string) => keepsStart(normalize, lowerCase(text)),
  });
}

/** Reads a component of a tokenizer.json. Throws an error that names it where `read` returns undefined or throws. */
function supported<Part>(json: JsonObject, key: string, read: (config: unknown) => Part | undefined): Part {
  let cause: unknown;
  try {
    const part = read(json[key]);
    if (part !== undefined) return part;
  } catch (error) {
    cause = error;
  }
  const config = JSON.stringify(json[key], (name, value) => (name === 'vocab' || name === 'merges' ? '...' : value));
  const reason = cause instanceof Error ? ` (${cause.message})` : '';
  throw new Error(`Expected a tokenizer.json with a supported ${key}, got ${config?.slice(0, 500)}${reason}.`, {
    cause,
  });
}

function createModel(config: unknown): WordModel | undefined {
  if (!isObject(config)) return undefined;
  switch (stringAt(config, 'type') ?? oldModelType(config)) {
    case 'Unigram':
      return UnigramModel.read(config);
    case 'WordPiece':
      return WordPieceModel.read(config);
    case 'BPE':
      return BytePairModel.read(config);
    case 'WordLevel':
      return WordLevelModel.read(config);
    default:
      return undefined;
  }
}

/** Old files have no type. */
function oldModelType(config: JsonObject): string {
  if (Array.isArray(config.vocab)) return 'Unigram';
  if (Array.isArray(config.merges)) return 'BPE';
  return config.continuing_subword_prefix === undefined ? 'WordLevel' : 'WordPiece';
}

/** Enough to tell whether a normalized text begins where the text does. */
const START_CHARACTERS = 64;

interface SpecialTokens {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** Encodes texts to token ids, without special tokens. */
class ExactSource {
  constructor(
    private readonly normalize: Normalizer,
    private readonly preTokenize: PreTokenizer,
    private readonly model: WordModel,
    private readonly added: AddedTokens,
    private readonly special: SpecialTokens,
    private readonly slow: boolean,
  ) {}

  /** Special tokens around a text. */
  get specialCount(): number {
    return this.special.before.length + this.special.after.length;
  }

  /** Adds the special tokens to the ids of a text: Python's slow tokenizers add none behind a text that ends with them. */
  withSpecialTokens(ids: readonly number[]): readonly number[] {
    const { before, after } = this.special;
    const own = ids.slice(-after.length);
    const hasThem = this.slow && after.every((id, at) => id === own[at]);
    return [...before, ...ids, ...(hasThem ? [] : after)];
  }

  /** Returns the first ids of a text; may stop once there are more than `limit`. */
  idsOf(text: string, limit: number): readonly number[] {
    const ids: number[] = [];
    for (const part of this.#parts(text)) {
      if (typeof part === 'number') ids.push(part);
      else for (const id of this.model.idsOf(part, limit)) ids.push(id);
      if (ids.length > limit) break;
    }
    return ids;
  }

  /** Returns the last ids of a text; may stop once there are more than `limit`. */
  lastIdsOf(text: string, limit: number): readonly number[] {
    const parts = [...this.#parts(text)];
    const ids: number[] = [];
    while (parts.length > 0 && ids.length <= limit) {
      const part = parts.pop() ?? '';
      const last = typeof part === 'number' ? [part] : this.model.idsOf(part, limit, true);
      for (let at = last.length - 1; at >= 0; at -= 1) ids.push(last[at] as number);
    }
    return ids.reverse();
  }

  /** Words, and the ids of the added tokens between them. */
  *#parts(text: string): Iterable<string | number> {
    let first = true;
    for (const raw of this.added.raw.split(text)) {
      if ('id' in raw) yield raw.id;
      else {
        const text = this.normalize(raw.text);
        // Not where normalization has left out what it began with, but in Python's slow tokenizers.
        let begins = first && (this.slow || this.#keepsStart(raw.text, text));
        for (const section of this.added.normalized.split(text)) {
          if ('id' in section) yield section.id;
          else yield* this.preTokenize(section.text, begins);
          begins = false;
        }
      }
      first = false;
    }
  }

  #keepsStart(text: string, normalized: string): boolean {
    const start = text.slice(0, START_CHARACTERS);
    return normalized.startsWith(start) || keepsStart(this.normalize, start);
  }
}

/** Returns the tokens that `post_processor` adds around a single text. Undefined for an unsupported kind. */
function readSpecialTokens(config: unknown): SpecialTokens | undefined {
  if (config === null || config === undefined) return { before: [], after: [] };
  if (!isObject(config)) return undefined;
  const type = stringAt(config, 'type');
  if (type === 'Sequence') return specialTokensOfAll(config.processors);
  if (type === 'TemplateProcessing') return templateTokens(config);
  // Of offsets alone.
  if (type === 'ByteLevel') return { before: [], after: [] };
  if (type !== 'BertProcessing' && type !== 'RobertaProcessing') return undefined;
  const before = idOfPair(config.cls);
  const after = idOfPair(config.sep);
  return before === undefined || after === undefined ? undefined : { before: [before], after: [after] };
}

/** Each post-processor adds its tokens around those of the ones before it. */
function specialTokensOfAll(processors: unknown): SpecialTokens | undefined {
  if (!Array.isArray(processors)) return undefined;
  return processors.reduce<SpecialTokens | undefined>(
    (inner, config) => {
      const outer = readSpecialTokens(config);
      return inner && outer && { before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] };
    },
    { before: [], after: [] },
  );
}

function idOfPair(pair: unknown): number | undefined {
  return Array.isArray(pair) && typeof pair[1] === 'number' ? pair[1] : undefined;
}

function templateTokens(config: JsonObject): SpecialTokens | undefined {
  if (!Array.isArray(config.single)) return undefined;
  const known = objectAt(config, 'special_tokens');
  const before: number[] = [];
  const after: number[] = [];
  let side = before;
  for (const part of config.single.filter(isObject)) {
    if (isObject(part.Sequence)) side = after;
    else {
      const ids = objectAt(known, stringAt(objectAt(part, 'SpecialToken'), 'id') ?? '').ids;
      if (!Array.isArray(ids)) return undefined;
      side.push(...ids.map(Number));
    }
  }
  return { before, after };
}
