import { readFile } from 'node:fs/promises';
import type { Model, Outcome } from '../answers.js';
import type { InferenceClient } from '../client.js';
import { InferenceClientError } from '../errors.js';
import type { CallOptions } from '../options.js';

/** What one call may hold. */
export interface BatchLimits {
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** What became of one file. */
export interface FileOutcome<Value> {
  readonly path: string;
  readonly outcome: Outcome<Value>;
}

/** Small enough that progress is seen, large enough that the way there costs little. */
const BATCH_ITEMS = 16;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Room in a message for what is not content. */
const ENVELOPE_BYTES = 64 * 1024;
/** Calls on the way at a time: the server has the next while the last is read here. */
const CALLS = 2;

/** What is asked of a server before images are sent to it. */
export interface ServerFacts {
  readonly limits: BatchLimits;
  /** The model for images, if there is one. */
  readonly visionModel: Model | undefined;
}

/** What a call to this server may hold, and whose its vectors will be. */
export async function serverFacts(client: InferenceClient, call: CallOptions): Promise<ServerFacts> {
  const { limits, models } = await client.getServerInfo(call);
  const maxBytes =
    limits === undefined || limits.maxMessageBytes === 0 ? BATCH_BYTES : limits.maxMessageBytes - ENVELOPE_BYTES;
  const maxItems = Math.min(BATCH_ITEMS, limits?.maxBatchItems || BATCH_ITEMS);
  const visionModel = models.find(({ role }) => role === 'vision')?.model;
  return { limits: { maxItems, maxBytes: Math.min(BATCH_BYTES, maxBytes) }, visionModel };
}

/**
 * Sends files in batches, two on the way at a time, and gives each file's outcome in the files' order. A file that cannot
 * be read is an outcome like any other.
 *
 * @throws whatever `ask` rejects with
 */
export async function* askForFiles<Value>(
  paths: readonly string[],
  limits: BatchLimits,
  ask: (contents: readonly Uint8Array[]) => Promise<readonly Outcome<Value>[]>,
): AsyncGenerator<FileOutcome<Value>, void, void> {
  const underWay: Promise<readonly FileOutcome<Value>[]>[] = [];
  try {
    for await (const batch of readBatches(paths, limits)) {
      const asked = askForBatch(batch, ask);
      asked.catch(() => undefined); // It is awaited in its turn; until then nobody listens.
      underWay.push(asked);
      if (underWay.length >= CALLS) yield* (await underWay.shift()) ?? [];
    }
    while (underWay.length > 0) yield* (await underWay.shift()) ?? [];
  } finally {
    await Promise.allSettled(underWay);
  }
}

interface ReadFile {
  readonly path: string;
  readonly content: Uint8Array | InferenceClientError;
}

async function askForBatch<Value>(
  batch: readonly ReadFile[],
  ask: (contents: readonly Uint8Array[]) => Promise<readonly Outcome<Value>[]>,
): Promise<FileOutcome<Value>[]> {
  const contents = batch.flatMap(({ content }) => (content instanceof Uint8Array ? [content] : []));
  const answers = contents.length === 0 ? [] : await ask(contents);
  const next = answers[Symbol.iterator]();
  return batch.flatMap(({ path, content }) => {
    if (content instanceof InferenceClientError) return [{ path, outcome: { ok: false, error: content } }];
    const { value: outcome } = next.next();
    return outcome === undefined ? [] : [{ path, outcome }];
  });
}

async function* readBatches(
  paths: readonly string[],
  limits: BatchLimits,
): AsyncGenerator<readonly ReadFile[], void, void> {
  let batch: ReadFile[] = [];
  let bytes = 0;
  for (const path of paths) {
    const content = await readInput(path);
    const size = content instanceof Uint8Array ? content.byteLength : 0;
    if (batch.length > 0 && (batch.length >= limits.maxItems || bytes + size > limits.maxBytes)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push({ path, content });
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

async function readInput(path: string): Promise<Uint8Array | InferenceClientError> {
  try {
    return await readFile(path);
  } catch (cause) {
    return unreadable(path, cause);
  }
}

/** A file that cannot be read, as an outcome. */
export function unreadable(path: string, cause: unknown): InferenceClientError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new InferenceClientError('NOT_FOUND', `${path} cannot be read: ${why}`, { reason: 'FILE_UNREADABLE', cause });
}
