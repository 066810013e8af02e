/** Measures the decoding cost of a binary protobuf message from its bytes: values, depth, text. One pass, no copies. */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface BinaryLimits {
  /** Fields, list entries and unknown fields together. */
  readonly maxValues: number;
  readonly maxDepth: number;
  /** Bytes of all strings together. */
  readonly maxTextBytes: number;
}

/** How the decoder reads a field it knows: by its kind, whatever the wire type of its tag. */
interface Known {
  readonly message: DescMessage | undefined;
  readonly isText: boolean;
  readonly wireType: WireType;
  /** Whether one tag may have many values. */
  readonly packable: boolean;
}

const knownFields = new WeakMap<DescMessage, ReadonlyMap<number, Known>>();

/**
 * Returns why the message must not be decoded, or undefined. Invalid messages are reported by the decoder. Its own reader finds the positions:
 * a message that the two read differently would have no limit.
 */
export function refuseBinary(desc: DescMessage, bytes: Uint8Array, limits: BinaryLimits): string | undefined {
  try {
    return new Scan(bytes, limits).message(desc, bytes.length, 0);
  } catch {
    // Truncated or not protobuf: the decoder stops here too.
    return undefined;
  }
}

class Scan {
  readonly #reader: BinaryReader;
  readonly #limits: BinaryLimits;
  #values = 0;
  #textBytes = 0;

  constructor(bytes: Uint8Array, limits: BinaryLimits) {
    this.#reader = new BinaryReader(bytes);
    this.#limits = limits;
  }

  /** A message inside may reach behind its end, as in the decoder. */
  message(desc: DescMessage, end: number, outer: number): string | undefined {
    const reader = this.#reader;
    const fields = knownFieldsOf(desc);
    let depth = outer;
    let refusal = this.#refusal(depth);
    while (reader.pos < end && refusal === undefined) {
      const [number, wireType] = reader.tag();
      this.#values += 1;
      // In an unknown group nothing is known.
      const field = depth === outer ? fields.get(number) : undefined;
      if (field !== undefined) refusal = this.#known(field, wireType, depth);
      else if (wireType === WireType.StartGroup) depth += 1;
      else if (wireType === WireType.EndGroup) depth -= 1;
      else reader.skip(wireType, number);
      refusal ??= this.#refusal(depth);
    }
    return refusal;
  }

  #known(field: Known, wireType: WireType, depth: number): string | undefined {
    const reader = this.#reader;
    if (field.message !== undefined) {
      const length = reader.uint32();
      return this.message(field.message, reader.pos + length, depth + 1);
    }
    if (field.packable && wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      const end = reader.pos + length;
      for (; reader.pos < end && this.#values <= this.#limits.maxValues; this.#values += 1) reader.skip(field.wireType);
    } else if (field.isText) {
      const length = reader.uint32();
      this.#textBytes += length;
      reader.pos += length;
    } else reader.skip(field.wireType);
    return undefined;
  }

  #refusal(depth: number): string | undefined {
    const { maxValues, maxDepth, maxTextBytes } = this.#limits;
    if (depth > maxDepth) return `it is nested deeper than ${maxDepth}`;
    if (this.#values > maxValues) return `it has more than ${maxValues} values`;
    if (this.#textBytes > maxTextBytes) return `it has more than ${maxTextBytes} bytes of text`;
    return undefined;
  }
}

function knownFieldsOf(desc: DescMessage): ReadonlyMap<number, Known> {
  const made = knownFields.get(desc) ?? new Map(desc.fields.map((field) => [field.number, knownOf(field)]));
  knownFields.set(desc, made);
  return made;
}

/** Bytes fields are not inspected. Map entries are counted but not inspected: requests have none. */
function knownOf(field: DescField): Known {
  const wireType = wireTypeOf(field);
  return {
    message: field.fieldKind === 'map' ? undefined : field.message,
    isText: field.fieldKind !== 'map' && field.scalar === ScalarType.STRING,
    wireType,
    packable: field.fieldKind === 'list' && wireType !== WireType.LengthDelimited,
  };
}

function wireTypeOf({ fieldKind, enum: isEnum, scalar }: DescField): WireType {
  if (fieldKind === 'map') return WireType.LengthDelimited;
  if (isEnum !== undefined) return WireType.Varint;
  switch (scalar) {
    case undefined:
    case ScalarType.BYTES:
    case ScalarType.STRING:
      return WireType.LengthDelimited;
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return WireType.Bit32;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return WireType.Bit64;
    default:
      return WireType.Varint;
  }
}
