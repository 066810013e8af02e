/**
 * The frame format of the messages between the server and its workers: the length of the rest, the length of the header (both
 * 4 bytes, little endian), the header as JSON, then the message's typed arrays as raw memory. Images, samples and vectors are
 * never encoded as JSON.
 */
import { GIB } from '@heimdex/common';

/** Typed arrays that a message can contain. */
const ARRAYS = { u8: Uint8Array, i32: Int32Array, f32: Float32Array, f64: Float64Array } as const;
type ArrayName = keyof typeof ARRAYS;
type AnyArray = Uint8Array | Int32Array | Float32Array | Float64Array;

const PREFIX_BYTES = 8;
/** Alignment of arrays within a frame: they are used in place, without a copy. */
const ALIGNMENT_BYTES = 8;

/** Maximum frame size. A larger one is a defect or an attack. */
export const MAX_FRAME_BYTES = GIB;

/** Prefix of strings that represent values that JSON cannot. */
const MARK = '\u0000';

interface Header {
  readonly body: unknown;
  /** Name, offset from the end of the header (aligned) and length in elements of each array. */
  readonly arrays: readonly (readonly [ArrayName, number, number])[];
}

/** Encodes a message as chunks to write in order; arrays are not copied. Throws for a value that is not plain data. */
export function encodeFrame(message: unknown): readonly Uint8Array[] {
  const arrays: { name: ArrayName; array: AnyArray; offset: number }[] = [];
  let arrayBytes = 0;
  const body = replace(message, (array) => {
    arrays.push({ name: nameOf(array), array, offset: arrayBytes });
    arrayBytes += align(array.byteLength);
    return arrays.length - 1;
  });
  const header = Buffer.from(
    JSON.stringify({ body, arrays: arrays.map(({ name, array, offset }) => [name, offset, array.length]) }),
  );
  const headerEnd = align(PREFIX_BYTES + header.byteLength);
  const head = Buffer.alloc(headerEnd);
  head.writeUInt32LE(headerEnd - PREFIX_BYTES + arrayBytes, 0);
  head.writeUInt32LE(header.byteLength, 4);
  header.copy(head, PREFIX_BYTES);
  const chunks: Uint8Array[] = [head];
  for (const { array } of arrays) {
    chunks.push(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    const gap = align(array.byteLength) - array.byteLength;
    if (gap > 0) chunks.push(new Uint8Array(gap));
  }
  return chunks;
}

/** Decodes frames from the chunks of a pipe. */
export class FrameReader {
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  /** The frame that arrives, once its prefix has. */
  #frame: Buffer<ArrayBuffer> | undefined;
  #filled = 0;

  /** Returns the messages completed by `chunk`. Throws on invalid bytes: the pipe cannot be used any more. */
  push(chunk: Uint8Array): unknown[] {
    const messages: unknown[] = [];
    let rest = chunk;
    while (rest.byteLength > 0) {
      const target = this.#frame ?? this.#prefix;
      const taken = rest.subarray(0, target.byteLength - this.#filled);
      target.set(taken, this.#filled);
      this.#filled += taken.byteLength;
      rest = rest.subarray(taken.byteLength);
      if (this.#frame === undefined && this.#filled === PREFIX_BYTES) this.#frame = frameAfter(this.#prefix);
      if (this.#filled !== this.#frame?.byteLength) continue;
      messages.push(decode(this.#frame));
      this.#frame = undefined;
      this.#filled = 0;
    }
    return messages;
  }
}

/** Memory for a frame, with its prefix. Not pooled: arrays are views into it and need aligned offsets. */
function frameAfter(prefix: Buffer): Buffer<ArrayBuffer> {
  const bytes = prefix.readUInt32LE(0);
  if (bytes > MAX_FRAME_BYTES) throw new Error(`frame of ${bytes} bytes exceeds ${MAX_FRAME_BYTES}`);
  const frame = Buffer.from(new ArrayBuffer(PREFIX_BYTES + bytes));
  prefix.copy(frame);
  return frame;
}

function decode(frame: Buffer<ArrayBuffer>): unknown {
  const headerBytes = frame.readUInt32LE(4);
  const text = frame.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  const { body, arrays }: Header = JSON.parse(text);
  const start = align(PREFIX_BYTES + headerBytes);
  const views = arrays.map(([name, offset, length]) => new ARRAYS[name](frame.buffer, start + offset, length));
  return restore(body, views);
}

/** Replaces arrays and non-finite numbers by marked strings, and escapes strings that begin with the mark. */
function replace(value: unknown, addArray: (array: AnyArray) => number): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : `${MARK}n${value}`;
  if (typeof value === 'string') return value.startsWith(MARK) ? `${MARK}s${value}` : value;
  if (['bigint', 'function', 'symbol'].includes(typeof value))
    throw new Error(`a message cannot contain a ${typeof value}`);
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return `${MARK}a${addArray(value as AnyArray)}`;
  if (Array.isArray(value)) {
    // Fast path: token lists are long, and JSON can represent integers.
    return value.every((entry) => Number.isSafeInteger(entry)) ? value : value.map((entry) => replace(entry, addArray));
  }
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, replace(entry, addArray)]));
}

function restore(value: unknown, views: readonly AnyArray[]): unknown {
  if (typeof value === 'string' && value.startsWith(MARK)) {
    if (value[1] === 'n') return Number(value.slice(2));
    if (value[1] === 'a') return views[Number(value.slice(2))];
    return value.slice(2);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((entry) => restore(entry, views));
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, restore(entry, views)]));
}

function nameOf(array: AnyArray): ArrayName {
  if (array instanceof Float32Array) return 'f32';
  if (array instanceof Int32Array) return 'i32';
  if (array instanceof Float64Array) return 'f64';
  if (array instanceof Uint8Array) return 'u8';
  throw new Error('a message can contain only Uint8Array, Int32Array, Float32Array and Float64Array');
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
