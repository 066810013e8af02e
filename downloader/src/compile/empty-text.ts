import { readFile } from 'node:fs/promises';
import { isTokenId } from '@heimdex/cache';
import { asObject, type JsonObject, objectAt, parseForeignJson } from '@heimdex/common';

/**
 * Returns the tokens of an empty text from a tokenizer.json: the special tokens that its post-processor adds to every text.
 * Returns undefined if it adds none. Pure.
 *
 * Source: Hugging Face tokenizers, TemplateProcessing, BertProcessing and RobertaProcessing.
 */
export function emptyTextOf(tokenizer: unknown): readonly number[] | undefined {
  const processor = objectAt(asObject(tokenizer), 'post_processor');
  const { processors } = processor;
  for (const part of Array.isArray(processors) ? processors.map(asObject) : [processor]) {
    const tokens = fromTemplate(part) ?? fromPair(part);
    if (tokens !== undefined) return tokens;
  }
  return undefined;
}

/** Like `emptyTextOf`; also undefined if the file is missing or not JSON. */
export async function readEmptyText(path: string): Promise<readonly number[] | undefined> {
  try {
    return emptyTextOf(parseForeignJson(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

function fromTemplate(processor: JsonObject): readonly number[] | undefined {
  const { single } = processor;
  if (!Array.isArray(single)) return undefined;
  const special = objectAt(processor, 'special_tokens');
  const ids = single.flatMap((part) => {
    const { id: name } = objectAt(asObject(part), 'SpecialToken');
    const { ids: tokens } = typeof name === 'string' ? objectAt(special, name) : {};
    return Array.isArray(tokens) ? tokens : [];
  });
  return ids.length > 0 && ids.every(isTokenId) ? ids : undefined;
}

/** Reads `cls` and `sep`, each a token and its id. */
function fromPair({ cls, sep }: JsonObject): readonly number[] | undefined {
  const ids = [cls, sep].map((pair) => (Array.isArray(pair) ? pair[1] : undefined));
  return ids.every(isTokenId) ? ids : undefined;
}
