import {
  COMPILABLE_FAMILIES,
  type ConfiguredModel,
  DENSE_DIR,
  SENTENCE_MODULES,
  sentenceModules,
} from '@heimdex/cache';
import { DownloaderError } from '../errors.js';
import { type RetryOptions, withRetries } from '../transfer/retry.js';
import type { ByteSource } from '../transfer/source.js';

/** These files have a few kilobytes. */
const MAX_BYTES = 4 << 20;

/** Reads one of the model's small files; undefined if there is none, or if it is not JSON. */
export type ReadSmallFile = (name: string) => Promise<unknown>;

/**
 * Reads config.json and modules.json and rejects a checkpoint whose architecture or modules cannot be compiled for its role, before
 * gigabytes are fetched. Throws DownloaderError CHECKPOINT_INVALID with what it has and what is supported; errors of the source.
 */
export async function assertCompilable(configured: ConfiguredModel, read: ReadSmallFile): Promise<void> {
  await assertArchitecture(configured, read);
  if (configured.family === 'sentence') await assertModules(configured, read);
}

async function assertArchitecture(configured: ConfiguredModel, read: ReadSmallFile): Promise<void> {
  const config = (await read('config.json')) as { readonly model_type?: unknown } | null | undefined;
  const type = config?.model_type;
  const known = COMPILABLE_FAMILIES[configured.family] ?? [];
  if (typeof type === 'string' && known.includes(type)) return;
  const naflex =
    type === 'siglip2' ? ' SigLIP 2 models can be compiled only with a fixed image size, not the naflex variants.' : '';
  throw new DownloaderError(
    'CHECKPOINT_INVALID',
    `${configured.id} cannot be compiled: ${configured.variable} requires model_type ${known.join(' or ')} in config.json, got ${JSON.stringify(type) ?? 'nothing'}.${naflex} Choose another model with ${configured.variable}, then run: heimdex-downloader plan`,
  );
}

/** What sentence-transformers does after the network: the server pools and normalizes, and a Dense is compiled. */
async function assertModules(configured: ConfiguredModel, read: ReadSmallFile): Promise<void> {
  const modules = sentenceModules(await read('modules.json')) ?? [];
  const denseAt = modules.findIndex(({ type, path }) => type === 'Dense' && path === DENSE_DIR);
  const unknown = modules.flatMap(({ type }, at) => {
    // Vectors are normalized last.
    if (type === 'Normalize' && at < denseAt) return ['Normalize before Dense'];
    return SENTENCE_MODULES.includes(type) || at === denseAt ? [] : [type];
  });
  if (unknown.length === 0) return;
  throw new DownloaderError(
    'CHECKPOINT_INVALID',
    `${configured.id} cannot be compiled: ${configured.variable} supports the modules ${SENTENCE_MODULES.join(', ')} and a Dense in ${DENSE_DIR} of modules.json, and it has ${unknown.join(', ')} too. Choose another model with ${configured.variable}, or an ONNX export of it with the output sentence_embedding, then run: heimdex-downloader plan`,
  );
}

/** Reads a small JSON file; undefined if it is longer than such files are, or is not JSON. */
export async function readSmallJson(source: ByteSource, retry: RetryOptions, signal: AbortSignal): Promise<unknown> {
  const text = await withRetries(() => readAll(source, signal), retry, signal);
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function readAll(source: ByteSource, signal: AbortSignal): Promise<string> {
  const opened = await source.open(undefined, signal);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const part of opened.body) {
      sizeBytes += part.length;
      if (sizeBytes > MAX_BYTES) break;
      parts.push(part);
    }
  } finally {
    opened.close();
  }
  return sizeBytes > MAX_BYTES ? '' : Buffer.concat(parts).toString('utf8');
}
