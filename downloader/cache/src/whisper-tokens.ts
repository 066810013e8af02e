/** Whether a Whisper's generation_config.json numbers the tokens of its own vocabulary. */
import { asObject, type JsonObject, objectAt } from '@heimdex/common';

/** What generation_config.json numbers, with the names of the tokens. */
const NAMED = {
  decoder_start_token_id: '<|startoftranscript|>',
  eos_token_id: '<|endoftext|>',
  no_timestamps_token_id: '<|notimestamps|>',
  prev_sot_token_id: '<|startofprev|>',
} as const;

/**
 * Throws for a token that generation_config.json numbers otherwise than the tokenizer. That of another Whisper's version is off by one: the model
 * would take "no timestamps" for the start of the words, and another task for its own, and give wrong text without an error.
 * @param idOf the tokenizer's number of a token; undefined if it has no such token
 */
export function assertOwnTokens(generation: JsonObject, idOf: (token: string) => number | undefined): void {
  const named = Object.entries(NAMED).map(([key, token]) => [token, generation[key]] as const);
  const tasks = Object.entries(objectAt(generation, 'task_to_id')).map(([task, id]) => [`<|${task}|>`, id] as const);
  for (const [token, said] of [...named, ...tasks, ...Object.entries(objectAt(generation, 'lang_to_id'))]) {
    const own = idOf(token);
    const id: unknown = Array.isArray(said) ? said[0] : said;
    if (own === undefined || typeof id !== 'number' || id === own) continue;
    throw new Error(
      `Expected ${token} to be ${own} in the model's generation_config.json, as in its tokenizer, got ${id}. ` +
        'Replace its generation_config.json, which seems to be that of another Whisper.',
    );
  }
}

/** The number of a token by its name in a tokenizer.json: an added one, or else one of the vocabulary. */
export function tokenIds(json: JsonObject): (token: string) => number | undefined {
  const added = Array.isArray(json.added_tokens) ? json.added_tokens.map(asObject) : [];
  const ids = new Map(added.map(({ content, id }) => [content, id]));
  const vocabulary = objectAt(objectAt(json, 'model'), 'vocab');
  return (token) => {
    const id = ids.get(token) ?? vocabulary[token];
    return typeof id === 'number' ? id : undefined;
  };
}
