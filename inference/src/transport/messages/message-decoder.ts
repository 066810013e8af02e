/** Decodes request messages, binary or JSON. Limits the cost of decoding before decoding. */
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { KIB, MIB, messageOf } from '@heimdex/common';
import { InferenceError } from '../../errors.js';
import type { Caller } from '../../services/call.js';
import { decodeJson } from './decode-json.js';
import { Decompressor } from './decompress.js';
import { JsonError, JsonThread } from './json-thread.js';
import { type BinaryLimits, refuseBinary } from './scan-binary.js';

/** JSON above this is parsed on its own thread; it would block the main thread for a millisecond. */
const THREAD_BYTES = 64 * KIB;
/** Binary messages above this are decoded one per turn of the event loop. */
const TURN_BYTES = MIB;
/** Requests are nested three deep. */
const MAX_DEPTH = 32;
const MIN_VALUES = 10_000;
/** A request has several values per item. */
const VALUES_PER_ITEM = 32;
const MIN_TEXT_BYTES = 8 * MIB;
/** Maximum fraction of the largest message that may be text. */
const TEXT_PART = 1 / 8;

/** Limits on the cost of decoding, derived from the server's limits. */
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

  /** Maximum text of a request, in bytes of UTF-8. */
  get maxTextBytes(): number {
    return this.#limits.maxTextBytes;
  }

  /** Decodes a binary message. Throws INVALID_ARGUMENT when it is invalid or too expensive. */
  binary(desc: DescMessage, bytes: Uint8Array): MessageShape<DescMessage> {
    return decoded(desc, () => {
      const refusal = refuseBinary(desc, bytes, this.#limits);
      if (refusal !== undefined) throw new Error(refusal);
      return fromBinary(desc, bytes);
    });
  }

  /** The same, but a large one waits for its turn. Rejects with the signal's reason when aborted before. */
  async binaryInTurn(desc: DescMessage, bytes: Uint8Array, signal: AbortSignal): Promise<MessageShape<DescMessage>> {
    if (bytes.byteLength > TURN_BYTES) {
      const before = this.#turn;
      this.#turn = before.then(nextTurn);
      await before;
      signal.throwIfAborted();
    }
    return this.binary(desc, bytes);
  }

  /** Decodes a JSON message, a large one on the thread. Rejects like `binaryInTurn`. */
  async json(desc: DescMessage, bytes: Uint8Array, caller: Caller): Promise<MessageShape<DescMessage>> {
    if (bytes.byteLength <= THREAD_BYTES) return decoded(desc, () => decodeJson(desc, bytes, this.#limits));
    try {
      const binary = await this.#thread.toBinary(desc.typeName, bytes, caller);
      return await this.binaryInTurn(desc, binary, caller.signal);
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
  const what = messageOf(cause);
  return new InferenceError('INVALID_ARGUMENT', `The request is not a valid ${typeName}: ${what}.`, { cause });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
