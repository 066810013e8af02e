/**
 * How the server and its workers write messages to each other: a frame is the length of the rest, the length of its
 * header (both 4 bytes, little endian), the header as JSON, then the typed arrays of the message as they lie in memory.
 * Images, samples and vectors never go through JSON.
 */

/** Typed arrays that may stand anywhere in a message. */
const ARRAYS = { u8: Uint8Array, i32: Int32Array, f32: Float32Array, f64: Float64Array } as const;
type ArrayName = keyof typeof ARRAYS;
type AnyArray = Uint8Array | Int32Array | Float32Array | Float64Array;

const PREFIX_BYTES = 8;
/** Arrays start at multiples of this within their frame, so that they can be used where they lie. */
const ALIGNMENT_BYTES = 8;

/** A frame larger than this is a defect or an attack, not a message. */
export const MAX_FRAME_BYTES = 1024 * 1024 * 1024;

/** Begins the strings that stand for what JSON cannot hold. */
const MARK = '\u0000';

interface Header {
  readonly body: unknown;
  /** Name, offset from the end of the header (aligned) and length in elements of each array. */
  readonly arrays: readonly (readonly [ArrayName, number, number])[];
}

/** A message as chunks to write in order; arrays are not copied. Throws for a value that is no plain data. */
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

/** Puts frames together from the chunks a pipe gives. */
export class FrameReader {
  #prefix = Buffer.alloc(PREFIX_BYTES);
  #prefixFilled = 0;
  #frame: Buffer<ArrayBuffer> | undefined;
  #frameFilled = 0;

  /** The messages completed by `chunk`. Throws when the bytes are no frames: the pipe is then of no use. */
  push(chunk: Uint8Array): unknown[] {
    const messages: unknown[] = [];
    let rest = chunk;
    while (rest.byteLength > 0) {
      rest = this.#frame === undefined ? this.#fillPrefix(rest) : this.#fillFrame(this.#frame, rest);
      if (this.#frame !== undefined && this.#frameFilled === this.#frame.byteLength) {
        messages.push(decode(this.#frame));
        this.#frame = undefined;
      }
    }
    return messages;
  }

  #fillPrefix(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, PREFIX_BYTES - this.#prefixFilled);
    this.#prefix.set(taken, this.#prefixFilled);
    this.#prefixFilled += taken.byteLength;
    if (this.#prefixFilled === PREFIX_BYTES) {
      const bytes = this.#prefix.readUInt32LE(0);
      if (bytes > MAX_FRAME_BYTES) throw new Error(`a frame of ${bytes} bytes is larger than ${MAX_FRAME_BYTES}`);
      // An ArrayBuffer of its own: arrays are views into it, at offsets that fit their types.
      this.#frame = Buffer.from(new ArrayBuffer(PREFIX_BYTES + bytes));
      this.#prefix.copy(this.#frame);
      this.#frameFilled = PREFIX_BYTES;
      this.#prefixFilled = 0;
    }
    return chunk.subarray(taken.byteLength);
  }

  #fillFrame(frame: Buffer<ArrayBuffer>, chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, frame.byteLength - this.#frameFilled);
    frame.set(taken, this.#frameFilled);
    this.#frameFilled += taken.byteLength;
    return chunk.subarray(taken.byteLength);
  }
}

function decode(frame: Buffer<ArrayBuffer>): unknown {
  const headerBytes = frame.readUInt32LE(4);
  const text = frame.toString('utf8', PREFIX_BYTES, PREFIX_BYTES + headerBytes);
  const { body, arrays }: Header = JSON.parse(text);
  const start = align(PREFIX_BYTES + headerBytes);
  const views = arrays.map(([name, offset, length]) => new ARRAYS[name](frame.buffer, start + offset, length));
  return restore(body, views);
}

/** The message with arrays and non-finite numbers replaced by marked strings; a text that begins with the mark is marked. */
function replace(value: unknown, keep: (array: AnyArray) => number): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : `${MARK}n${value}`;
  if (typeof value !== 'object' || value === null) {
    if (typeof value === 'string') return value.startsWith(MARK) ? `${MARK}s${value}` : value;
    if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
      throw new Error(`a message cannot hold a ${typeof value}`);
    }
    return value;
  }
  if (ArrayBuffer.isView(value)) return `${MARK}a${keep(value as AnyArray)}`;
  if (Array.isArray(value)) {
    // Lists of tokens are long and plain: no need to walk what JSON can hold as it is.
    return value.every((entry) => Number.isSafeInteger(entry)) ? value : value.map((entry) => replace(entry, keep));
  }
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, replace(entry, keep)]));
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
  throw new Error('a message can hold Uint8Array, Int32Array, Float32Array and Float64Array, no other array');
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
