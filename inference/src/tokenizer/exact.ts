import { isObject, type JsonObject, objectAt, stringAt } from '../json.js';
import { AddedTokens } from './added-tokens.js';
import type { IdSource } from './id-source.js';
import { createNormalizer, type Normalizer } from './normalizers.js';
import { createPreTokenizer, type PreTokenizer } from './pre-tokenizers.js';
import { UnigramModel } from './unigram.js';
import { CachedModel, type WordModel } from './word-model.js';
import { WordPieceModel } from './wordpiece.js';

/**
 * Creates a tokenizer of the BERT and SentencePiece families, exact to Python's tokenizers for every code point. It stops at the
 * limit: apart from normalization, a long text costs no more than the tokens used of it. Undefined for a tokenizer.json with
 * unsupported components.
 */
export function createExactSource(json: JsonObject): IdSource | undefined {
  const normalize = createNormalizer(json.normalizer);
  const preTokenize = createPreTokenizer(json.pre_tokenizer);
  const model = createModel(objectAt(json, 'model'));
  const specialTokens = readSpecialTokens(json.post_processor);
  if (normalize === undefined || preTokenize === undefined || model === undefined || specialTokens === undefined)
    return undefined;
  return new ExactSource(
    normalize,
    preTokenize,
    new CachedModel(model),
    new AddedTokens(json.added_tokens, normalize),
    specialTokens,
  );
}

function createModel(config: JsonObject): WordModel | undefined {
  // Old files have no type.
  const type = stringAt(config, 'type') ?? (Array.isArray(config.vocab) ? 'Unigram' : 'other');
  if (type === 'Unigram') return UnigramModel.read(config);
  return type === 'WordPiece' ? WordPieceModel.read(config) : undefined;
}

interface SpecialTokens {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

class ExactSource implements IdSource {
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly #normalize: Normalizer;
  readonly #preTokenize: PreTokenizer;
  readonly #model: WordModel;
  readonly #added: AddedTokens;

  constructor(
    normalize: Normalizer,
    preTokenize: PreTokenizer,
    model: WordModel,
    added: AddedTokens,
    specialTokens: SpecialTokens,
  ) {
    this.before = specialTokens.before;
    this.after = specialTokens.after;
    this.#normalize = normalize;
    this.#preTokenize = preTokenize;
    this.#model = model;
    this.#added = added;
  }

  idsOf(text: string, limit: number): readonly number[] {
    const ids: number[] = [];
    let first = true;
    for (const raw of this.#added.split(text)) {
      if ('id' in raw) ids.push(raw.id);
      else this.#addPart(this.#normalize(raw.text), first, ids, limit);
      first = false;
      if (ids.length > limit) break;
    }
    return ids;
  }

  #addPart(text: string, first: boolean, ids: number[], limit: number): void {
    let begins = first;
    for (const section of this.#added.splitNormalized(text)) {
      if ('id' in section) ids.push(section.id);
      else {
        for (const word of this.#preTokenize(section.text, begins)) {
          for (const id of this.#model.idsOf(word)) ids.push(id);
          if (ids.length > limit) return;
        }
      }
      begins = false;
    }
  }
}

/** Returns the tokens that `post_processor` adds around a single text. Undefined for an unsupported kind. */
function readSpecialTokens(config: unknown): SpecialTokens | undefined {
  if (config === null || config === undefined) return { before: [], after: [] };
  if (!isObject(config)) return undefined;
  const type = stringAt(config, 'type');
  if (type === 'TemplateProcessing') return templateTokens(config);
  if (type !== 'BertProcessing' && type !== 'RobertaProcessing') return undefined;
  const before = idOfPair(config.cls);
  const after = idOfPair(config.sep);
  return before === undefined || after === undefined ? undefined : { before: [before], after: [after] };
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
