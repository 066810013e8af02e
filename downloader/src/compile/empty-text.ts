import { readFile } from 'node:fs/promises';
import { isTokenId } from '@heimdex/cache';
import { type JsonObject, parseForeignJson } from '@heimdex/common';

/**
 * Returns the tokens of an empty text from a tokenizer.json: the special tokens that its post-processor adds to every text.
 * Returns undefined if it adds none. Pure.
 *
 * Source: Hugging Face tokenizers, TemplateProcessing, BertProcessing and RobertaProcessing.
 */
export function emptyTextOf(tokenizer: unknown): readonly number[] | undefined {
  const processor = at(tokenizer, 'post_processor');
  const parts = at(processor, 'processors');
  for (const part of Array.isArray(parts) ? parts : [processor]) {
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

function fromTemplate(processor: unknown): readonly number[] | undefined {
  const single = at(processor, 'single');
  if (!Array.isArray(single)) return undefined;
  const special = at(processor, 'special_tokens');
  const ids = single.flatMap((part) => {
    const name = at(at(part, 'SpecialToken'), 'id');
    const tokens = typeof name === 'string' ? at(at(special, name), 'ids') : [];
    return Array.isArray(tokens) ? tokens : [];
  });
  return ids.length > 0 && ids.every(isTokenId) ? ids : undefined;
}

/** Reads `cls` and `sep`, each a token and its id. */
function fromPair(processor: unknown): readonly number[] | undefined {
  const ids = ['cls', 'sep'].map((key) => at(at(processor, key), '1'));
  return ids.every(isTokenId) ? ids : undefined;
}

function at(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as JsonObject)[key]
    : undefined;
}
