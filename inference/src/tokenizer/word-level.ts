import { isObject, type JsonObject, stringAt } from '../json.js';
import type { WordModel } from './word-model.js';

/** A word is a token; all others are the unknown one. */
export class WordLevelModel implements WordModel {
  private constructor(
    private readonly ids: ReadonlyMap<string, unknown>,
    private readonly unknown: number,
  ) {}

  /** Reads `model` of tokenizer.json. Undefined for an unsupported kind. */
  static read({ vocab, ...config }: JsonObject): WordLevelModel | undefined {
    const ids = new Map(isObject(vocab) ? Object.entries(vocab) : []);
    const unknown = ids.get(stringAt(config, 'unk_token') ?? '<unk>');
    return typeof unknown === 'number' ? new WordLevelModel(ids, unknown) : undefined;
  }

  idsOf(word: string): readonly number[] {
    const id = this.ids.get(word);
    return [typeof id === 'number' ? id : this.unknown];
  }
}
