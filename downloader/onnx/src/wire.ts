/** The subset of Protocol Buffers' wire format that ONNX files need. Source: protobuf.dev, "Encoding". */

/** Source of a model's bytes: memory, or a file whose large parts are never read. */
export interface ByteSource {
  readonly sizeBytes: number;
  /** The bytes from `offset`; a view or a copy, valid until the next call only when it comes from a file. */
  bytes(offset: number, length: number): Uint8Array;
}

/** One field of a message. */
export interface Field {
  readonly number: number;
  readonly wireType: 0 | 1 | 2 | 5;
  /** The value of a varint; 0 for the other wire types. */
  readonly value: bigint;
  /** Offset of the payload in the source; for wire type 2 after its length. */
  readonly offset: number;
  /** Bytes of the payload. */
  readonly length: number;
  /** Offset of the field, key included. */
  readonly start: number;
}

const MAX_VARINT_BYTES = 10;
/** Other parsers, such as ONNX Runtime's, read a key in 32 bits: of a larger number they see the lower ones. */
const MAX_FIELD_NUMBER = 2 ** 29 - 1;

/** Reads one varint; returns it with its size. Throws if it does not end within ten bytes. */
function readVarint(source: ByteSource, offset: number, end: number): { value: bigint; sizeBytes: number } {
  const bytes = source.bytes(offset, Math.min(MAX_VARINT_BYTES, end - offset));
  let low = 0;
  let value = 0n;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    if (i < 4) {
      low |= (byte & 0x7f) << (7 * i);
    } else {
      if (i === 4) value = BigInt(low);
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    }
    if (byte < 0x80) return { value: i < 4 ? BigInt(low) : BigInt.asUintN(64, value), sizeBytes: i + 1 };
  }
  throw endless(bytes.length, offset);
}

/** The error of a number at `offset` of which that many bytes are there, none of them the last one. */
function endless(sizeBytes: number, offset: number): Error {
  return new Error(
    sizeBytes < MAX_VARINT_BYTES
      ? `Expected a number at byte ${offset}, but the message ends inside it.`
      : `Expected a number of at most ${MAX_VARINT_BYTES} bytes at byte ${offset}, got a longer one.`,
  );
}

/** Iterates over the fields of the message from `start` to `end`. Throws for invalid data. */
export function* fieldsOf(source: ByteSource, start: number, end: number): Generator<Field, void, void> {
  let position = start;
  while (position < end) {
    const key = readVarint(source, position, end);
    const number = Number(key.value >> 3n);
    const wireType = Number(key.value & 7n);
    if (number === 0 || number > MAX_FIELD_NUMBER)
      throw new Error(`Expected a field number of 1 to ${MAX_FIELD_NUMBER} at byte ${position}, got ${number}.`);
    let offset = position + key.sizeBytes;
    let length: number;
    let value = 0n;
    if (wireType === 0) {
      const varint = readVarint(source, offset, end);
      value = varint.value;
      length = varint.sizeBytes;
    } else if (wireType === 2) {
      const varint = readVarint(source, offset, end);
      offset += varint.sizeBytes;
      length = Number(varint.value);
    } else if (wireType === 1) length = 8;
    else if (wireType === 5) length = 4;
    else throw new Error(`Expected a protocol buffers field at byte ${position}, got wire type ${wireType}.`);
    if (offset + length > end) {
      throw new Error(`Expected a field that ends within its message at byte ${position}, got ${length} bytes.`);
    }
    yield { number, wireType, value, offset, length, start: position };
    position = offset + length;
  }
}

/** The numbers of a packed or repeated varint field's payload. */
export function packedVarints(source: ByteSource, field: Field): BigUint64Array {
  return new BigUint64Array(varintBytes(source, [field], BigUint64Array.BYTES_PER_ELEMENT).buffer);
}

/** Bytes of a payload that are read at once. */
const PART_BYTES = 1 << 18;

/**
 * The numbers of packed or repeated varint fields, one behind the other, as the lower `sizeBytes` (at most 8) bytes of each, little endian.
 * Takes no other memory: a tensor may have a hundred million numbers.
 */
export function varintBytes(source: ByteSource, fields: readonly Field[], sizeBytes: number): Uint8Array<ArrayBuffer> {
  const count = fields.reduce((sum, field) => sum + countVarints(source, field), 0);
  const numbers = new Uint8Array(count * sizeBytes);
  let [at, bits] = [0, 0];
  for (const { bytes } of partsOf(source, fields)) {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bits >> 3;
      const value = ((bytes[i] as number) & 0x7f) << (bits & 7);
      if (byte < sizeBytes) numbers[at + byte] = (numbers[at + byte] as number) | value;
      if (byte + 1 < sizeBytes) numbers[at + byte + 1] = value >> 8;
      bits += 7;
      if (isLast(bytes[i])) {
        at += sizeBytes;
        bits = 0;
      }
    }
  }
  return numbers;
}

/** The numbers in a field's payload, which are read to the end. Throws if one does not end. */
function countVarints(source: ByteSource, field: Field): number {
  let [count, sizeBytes] = [0, 0];
  for (const { bytes, offset } of partsOf(source, [field])) {
    for (let i = 0; i < bytes.length; i++) {
      sizeBytes++;
      if (isLast(bytes[i])) {
        count++;
        sizeBytes = 0;
      } else if (sizeBytes === MAX_VARINT_BYTES) throw endless(sizeBytes, offset + i + 1 - sizeBytes);
    }
  }
  if (sizeBytes > 0) throw endless(sizeBytes, field.offset + field.length - sizeBytes);
  return count;
}

/** Whether a byte is the last one of a varint. */
function isLast(byte: number | undefined): boolean {
  return (byte as number) < 0x80;
}

function* partsOf(
  source: ByteSource,
  fields: readonly Field[],
): Generator<{ readonly bytes: Uint8Array; readonly offset: number }> {
  for (const { offset: start, length } of fields)
    for (let offset = start; offset < start + length; offset += PART_BYTES)
      yield { bytes: source.bytes(offset, Math.min(PART_BYTES, start + length - offset)), offset };
}

/** A varint as bytes; negative numbers as 64-bit two's complement. */
export function varint(value: number | bigint): Uint8Array {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

/** A field that holds a number. */
export function varintField(number: number, value: number | bigint): Uint8Array {
  return concatBytes([varint(number << 3), varint(value)]);
}

/** A field that holds a 32-bit float. */
export function floatField(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concatBytes([varint((number << 3) | 5), bytes]);
}

/** A field that holds bytes, a string or a message. */
export function bytesField(number: number, payload: Uint8Array | string): Uint8Array {
  const bytes = typeof payload === 'string' ? new TextEncoder().encode(payload) : payload;
  return concatBytes([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

/** Like `bytesField`, for a message in parts; returns parts without copying them. */
export function partsField(number: number, payload: readonly Uint8Array[]): Uint8Array[] {
  const sizeBytes = payload.reduce((sum, part) => sum + part.length, 0);
  return [concatBytes([varint((number << 3) | 2), varint(sizeBytes)]), ...payload];
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
