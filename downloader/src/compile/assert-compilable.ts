import { COMPILABLE_FAMILIES, type ConfiguredModel } from '@heimdex/cache';
import { DownloaderError } from '../errors.js';
import { type RetryOptions, withRetries } from '../transfer/retry.js';
import type { ByteSource } from '../transfer/source.js';

/** A config.json is a few kilobytes. */
const MAX_BYTES = 4 << 20;

/**
 * Reads config.json and rejects a checkpoint whose architecture cannot be compiled for its role, before gigabytes are fetched.
 * Throws DownloaderError CHECKPOINT_INVALID with the architecture and the supported ones; errors of the source.
 */
export async function assertCompilable(
  configured: ConfiguredModel,
  config: ByteSource,
  retry: RetryOptions,
  signal: AbortSignal,
): Promise<void> {
  const text = await withRetries(() => readAll(config, signal), retry, signal);
  const type = modelTypeOf(text);
  const known = COMPILABLE_FAMILIES[configured.family] ?? [];
  if (typeof type === 'string' && known.includes(type)) return;
  const naflex =
    type === 'siglip2' ? ' SigLIP 2 models can be compiled only with a fixed image size, not the naflex variants.' : '';
  throw new DownloaderError(
    'CHECKPOINT_INVALID',
    `${configured.id} cannot be compiled: ${configured.variable} requires model_type ${known.join(' or ')} in config.json, got ${JSON.stringify(type) ?? 'nothing'}.${naflex} Choose another model with ${configured.variable}, then run: heimdex-downloader plan`,
  );
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

function modelTypeOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { readonly model_type?: unknown } | null)?.model_type;
  } catch {
    return undefined;
  }
}
