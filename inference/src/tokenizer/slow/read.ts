/** Makes a tokenizer.json of the files that Python's slow tokenizers save, for repositories without it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSlowTokenizer } from '@heimdex/cache';
import { throwNamed } from '@heimdex/common';
import { type JsonObject, readIfThere, readJsonObject, readOptionalObject, readText, stringAt } from '../../json.js';
import { byteLevelJson } from './byte-level.js';
import { readSentencePiece } from './sentencepiece.js';
import { siglipJson } from './siglip.js';
import { wordPieceJson } from './word-piece.js';

/**
 * Reads tokenizer.json, or the older files that replace it: vocab.txt (BERT), spiece.model (SigLIP), or vocab.json and merges.txt (Whisper),
 * the first and the last with added_tokens.json. Throws an error that names tokenizer.json if there is none.
 */
export async function readTokenizerJson(dir: string, settings: JsonObject): Promise<JsonObject> {
  const json = await readIfThere(join(dir, 'tokenizer.json'), readJsonObject);
  if (json !== undefined) return json;
  const kind = stringAt(settings, 'tokenizer_class') ?? '';
  if (kind !== '' && !isSlowTokenizer(kind)) {
    // Others split words in ways of their own, such as BertJapaneseTokenizer.
    throw new Error(`Expected ${dir} to have a tokenizer.json, since its tokenizer is a ${kind}.`);
  }
  const words = await readIfThere(join(dir, 'vocab.txt'), readLines);
  const added = await readOptionalObject(join(dir, 'added_tokens.json'));
  if (words !== undefined) return wordPieceJson(words, added, settings);
  const pieces = await readIfThere(join(dir, 'spiece.model'), (path) =>
    readFile(path).catch((error) => throwNamed(path, error)),
  );
  if (pieces !== undefined) return siglipJson(readSentencePiece(pieces, join(dir, 'spiece.model')), settings);
  const merges = await readIfThere(join(dir, 'merges.txt'), readLines);
  if (merges === undefined) throw new Error(`Expected ${dir} to have a tokenizer.json.`);
  const vocabulary = await readJsonObject(join(dir, 'vocab.json'));
  return byteLevelJson(vocabulary, merges, added, settings);
}

async function readLines(path: string): Promise<readonly string[]> {
  const lines = (await readText(path)).split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/\r$/, ''));
}
