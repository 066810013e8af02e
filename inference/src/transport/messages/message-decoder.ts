/** Request messages from their bytes, in either form. What a message costs to decode is bounded before it is decoded. */

import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { MIB } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import { decodeJson } from './decode-json.js';
import { Decompressor } from './decompress.js';
import { JsonError, JsonThread } from './json-thread.js';
import { type BinaryLimits, refuseBinary } from './scan-binary.js';

/** JSON above this is parsed on its own thread: it takes the serving thread a millisecond. */
const THREAD_BYTES = 64 * 1024;
/** Of binary messages above this, one is decoded in a turn of the event loop. */
const TURN_BYTES = MIB;
/** Requests are nested three deep. */
const MAX_DEPTH = 32;
const MIN_VALUES = 10_000;
/** A request has some values of its own for each of its items. */
const VALUES_PER_ITEM = 32;
const MIN_TEXT_BYTES = 8 * MIB;
/** Part of the largest message that may be text. */
const TEXT_PART = 1 / 8;

/** Bounds on what decoding may cost, by what the server is set to take. */
export function messageLimits(limits: {
  readonly maxBatchItems: number;
  readonly maxMessageBytes: number;
}): BinaryLimits {
  return {
    maxValues: Math.max(MIN_VALUES, limits.maxBatchItems * VALUES_PER_ITEM),
    maxDepth: MAX_DEPTH,
    maxTextBytes: Math.max(MIN_TEXT_BYTES, limits.maxMessageBytes * TEXT_PART),
  };
}

export class MessageDecoder {
  readonly decompressor = new Decompressor();
  readonly #limits: BinaryLimits;
  readonly #thread: JsonThread;
  #turn: Promise<void> = Promise.resolve();

  constructor(limits: BinaryLimits) {
    this.#limits = limits;
    this.#thread = new JsonThread(limits);
  }

  /** Most text, in bytes of UTF-8, that a request may have. */
  get maxTextBytes(): number {
    return this.#limits.maxTextBytes;
  }

  /** A message in binary form. Throws INVALID_ARGUMENT for what is none, and for what would cost too much. */
  binary(desc: DescMessage, bytes: Uint8Array): MessageShape<DescMessage> {
    return decoded(desc, () => {
      const refusal = refuseBinary(desc, bytes, this.#limits);
      if (refusal !== undefined) throw new Error(refusal);
      return fromBinary(desc, bytes);
    });
  }

  /** The same, a large one when it is its turn. Rejects with the signal's reason when it is aborted before. */
  async binaryInTurn(desc: DescMessage, bytes: Uint8Array, signal: AbortSignal): Promise<MessageShape<DescMessage>> {
    if (bytes.byteLength > TURN_BYTES) {
      const before = this.#turn;
      this.#turn = before.then(nextTurn);
      await before;
      signal.throwIfAborted();
    }
    return this.binary(desc, bytes);
  }

  /** A message in JSON, a large one by the thread. Rejects as `binaryInTurn` does. */
  async json(desc: DescMessage, bytes: Uint8Array, signal: AbortSignal): Promise<MessageShape<DescMessage>> {
    if (bytes.byteLength <= THREAD_BYTES) return decoded(desc, () => decodeJson(desc, bytes, this.#limits));
    try {
      const binary = await this.#thread.toBinary(desc.typeName, bytes, signal);
      return await this.binaryInTurn(desc, binary, signal);
    } catch (error) {
      throw error instanceof JsonError ? invalid(desc, error) : error;
    }
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

function decoded(desc: DescMessage, decode: () => MessageShape<DescMessage>): MessageShape<DescMessage> {
  try {
    return decode();
  } catch (error) {
    throw invalid(desc, error);
  }
}

function invalid({ typeName }: DescMessage, cause: unknown): InferenceError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new InferenceError('INVALID_ARGUMENT', `The request is no ${typeName}: ${what}.`, { cause });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
