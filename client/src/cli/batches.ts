import type { Model, Outcome } from '../answers.js';
import type { InferenceClient } from '../client.js';
import { InferenceClientError, MessageTooLargeError } from '../errors.js';
import type { CallOptions } from '../options.js';
import { readWhole, unreadable } from './read-file.js';

/** Limits of one call. */
export interface BatchLimits {
  readonly maxItems: number;
  readonly maxBytes: number;
}

/** The outcome of one file. */
export interface FileOutcome<Value> {
  readonly path: string;
  readonly outcome: Outcome<Value>;
}

/** Small enough for visible progress, large enough to amortize the round trip. */
const BATCH_ITEMS = 16;
const BATCH_BYTES = 16 * 1024 * 1024;
/** Space in a message for everything but content. */
const ENVELOPE_BYTES = 64 * 1024;
/** Concurrent calls: the server processes one while the next is read from disk. */
const MAX_CALLS = 2;

/** Server information needed before images are sent. */
export interface ServerFacts {
  readonly limits: BatchLimits;
  /** The image embedding model, if loaded. */
  readonly visionModel: Model | undefined;
}

/** Returns the call limits and the image model of a server. */
export async function serverFacts(client: InferenceClient, call: CallOptions): Promise<ServerFacts> {
  const { limits, models } = await client.getServerInfo(call);
  const maxBytes =
    limits === undefined || limits.maxMessageBytes === 0 ? BATCH_BYTES : limits.maxMessageBytes - ENVELOPE_BYTES;
  const maxItems = Math.min(BATCH_ITEMS, limits?.maxBatchItems || BATCH_ITEMS);
  const visionModel = models.find(({ role }) => role === 'vision')?.model;
  return { limits: { maxItems, maxBytes: Math.min(BATCH_BYTES, maxBytes) }, visionModel };
}

/**
 * Sends files in batches, two at a time, and yields the outcome of each file in order. A file that is unreadable, or larger than a
 * message may be, yields a failed outcome.
 * Throws whatever else `call` rejects with, and as a call does when the signal fires.
 */
export async function* callWithFiles<Value>(
  paths: readonly string[],
  limits: BatchLimits,
  signal: AbortSignal,
  call: (contents: readonly Uint8Array[]) => Promise<readonly Outcome<Value>[]>,
): AsyncGenerator<FileOutcome<Value>, void, void> {
  const pending: Promise<readonly FileOutcome<Value>[]>[] = [];
  try {
    for await (const batch of inBatches(readFiles(paths, signal), limits, sizeOf)) {
      const outcomes = callWithBatch(batch, call);
      outcomes.catch(() => undefined); // Awaited below; avoids an unhandled rejection until then.
      pending.push(outcomes);
      if (pending.length >= MAX_CALLS) yield* (await pending.shift()) ?? [];
    }
    while (pending.length > 0) yield* (await pending.shift()) ?? [];
  } finally {
    await Promise.allSettled(pending);
  }
}

interface ReadFile {
  readonly path: string;
  readonly content: Uint8Array | InferenceClientError;
}

function sizeOf({ content }: ReadFile): number {
  return content instanceof Uint8Array ? content.byteLength : 0;
}

async function callWithBatch<Value>(
  batch: readonly ReadFile[],
  call: (contents: readonly Uint8Array[]) => Promise<readonly Outcome<Value>[]>,
): Promise<FileOutcome<Value>[]> {
  const contents = batch.flatMap(({ content }) => (content instanceof Uint8Array ? [content] : []));
  const answers =
    contents.length === 0 ? [] : await call(contents).catch((error: unknown) => tooLarge(error, contents));
  const next = answers[Symbol.iterator]();
  return batch.flatMap(({ path, content }) => {
    if (content instanceof InferenceClientError) return [{ path, outcome: { ok: false, error: content } }];
    const { value: outcome } = next.next();
    return outcome === undefined ? [] : [{ path, outcome }];
  });
}

/** Returns the failure of an item that fits no message, even alone. Throws any other error. */
export function tooLarge(error: unknown, { length }: readonly unknown[]): readonly [Outcome<never>] {
  if (length === 1 && error instanceof MessageTooLargeError) return [{ ok: false, error }];
  throw error;
}

/** Groups items for calls, each group as soon as it is full. An item that is larger than a call may be is alone. */
export async function* inBatches<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  { maxItems, maxBytes }: BatchLimits,
  sizeOf: (item: Item) => number,
): AsyncGenerator<readonly Item[], void, void> {
  const batch: Item[] = [];
  let bytes = 0;
  for await (const item of items) {
    const size = sizeOf(item);
    if (batch.length > 0 && bytes + size > maxBytes) {
      yield batch.splice(0);
      bytes = 0;
    }
    batch.push(item);
    bytes += size;
    if (batch.length < maxItems) continue;
    yield batch.splice(0);
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

async function* readFiles(paths: readonly string[], signal: AbortSignal): AsyncGenerator<ReadFile, void, void> {
  for (const path of paths) yield { path, content: await readInput(path, signal) };
}

async function readInput(path: string, signal: AbortSignal): Promise<Uint8Array | InferenceClientError> {
  try {
    return await readWhole(path, signal);
  } catch (cause) {
    if (signal.aborted) throw cause;
    return unreadable(path, cause);
  }
}
