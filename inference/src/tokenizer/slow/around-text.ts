import type { JsonObject } from '../../json.js';

/** `post_processor` of tokenizer.json for special tokens before and after every text. Pairs of texts are not used. */
export function aroundText(
  before: readonly string[],
  after: readonly string[],
  ids: ReadonlyMap<string, number>,
): JsonObject {
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const special = [...before, ...after].map((name) => [name, { id: name, ids: [ids.get(name)], tokens: [name] }]);
  return {
    type: 'TemplateProcessing',
    single: [...before.map(token), { Sequence: { id: 'A', type_id: 0 } }, ...after.map(token)],
    pair: [],
    special_tokens: Object.fromEntries(special),
  };
}
