import type { ConfiguredModel, ContentHash, FoundFile } from '@heimdex/cache';
import { messageOf } from '@heimdex/common';
import { DownloaderError } from '../errors.js';

/** An error of a model that cannot be compiled or served. `problem` is a clause, `or` another way out than another model. */
export function cannotCompile({ id, variable }: ConfiguredModel, problem: string, or = ''): DownloaderError {
  return new DownloaderError(
    'CHECKPOINT_INVALID',
    `${id} cannot be compiled: ${problem.replace(/\.$/, '')}. Choose another model with ${variable}${or}, then run: heimdex-downloader plan`,
  );
}

/** How a tokenizer.json is made for a model that has none. */
export function tokenizerAdvice(id: string): string {
  return `In transformers AutoTokenizer.from_pretrained("${id}").save_pretrained(DIR) writes one, where the tokenizer has that form (BertJapaneseTokenizer and PhobertTokenizer have not)`;
}

/** The error of a checkpoint on the volume with other bytes than its name or the hub says. */
export function wrongCheckpoint(
  { blobPath }: Pick<FoundFile, 'blobPath'>,
  { type, value }: ContentHash,
  actual: string,
): DownloaderError {
  return new DownloaderError(
    'HASH_MISMATCH',
    `${blobPath} is damaged or another file: expected ${type} ${value}, got ${actual}. To fetch it again, run: heimdex-downloader download --check. If another program left it, it is not replaced: move it away first`,
  );
}

/** Runs a check of a model's files, and throws its error as one of that model. */
export function refusing<Result>(configured: ConfiguredModel, check: () => Result): Result {
  try {
    return check();
  } catch (error) {
    throw cannotCompile(configured, messageOf(error));
  }
}
