/** Measures the decoding cost of a binary protobuf message from its bytes: values, depth, text. One pass, no copies. */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';

export interface BinaryLimits {
  /** Fields, list entries and unknown fields together. */
  readonly maxValues: number;
  readonly maxDepth: number;
  /** Bytes of all strings together. */
  readonly maxTextBytes: number;
}

/** Wire types of protobuf's encoding (protobuf.dev/programming-guides/encoding). */
const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED_32 = 5;

/** The content of a length-delimited field. */
type Content = DescMessage | 'text' | 'varints' | 'fixed32' | 'fixed64';

const contents = new WeakMap<DescMessage, ReadonlyMap<number, Content>>();

/** Returns why the message must not be decoded, or undefined. Invalid messages are reported by the decoder. */
export function refuseBinary(desc: DescMessage, bytes: Uint8Array, limits: BinaryLimits): string | undefined {
  return new Scan(bytes, limits).message(desc, 0, bytes.length, 0);
}

class Scan {
  readonly #bytes: Uint8Array;
  readonly #limits: BinaryLimits;
  #values = 0;
  #textBytes = 0;
  #at = 0;

  constructor(bytes: Uint8Array, limits: BinaryLimits) {
    this.#bytes = bytes;
    this.#limits = limits;
  }

  message(desc: DescMessage, start: number, end: number, outer: number): string | undefined {
    const { maxValues, maxDepth, maxTextBytes } = this.#limits;
    const fields = contentsOf(desc);
    let depth = outer;
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint();
      this.#values += 1;
      const wireType = tag & 7;
      if (wireType === VARINT) this.#varint();
      else if (wireType === FIXED_64) this.#at += 8;
      else if (wireType === FIXED_32) this.#at += 4;
      else if (wireType === GROUP_START) depth += 1;
      else if (wireType === GROUP_END) depth -= 1;
      else if (wireType === LENGTH_DELIMITED) {
        const length = this.#varint();
        const from = this.#at;
        const to = from + length;
        // Truncated or not protobuf: the decoder stops here too.
        if (to > end) return undefined;
        const content = fields.get(Math.floor(tag / 8));
        if (content === 'text') this.#textBytes += length;
        else if (content === 'varints') this.#values += this.#countVarints(from, to);
        else if (content === 'fixed32') this.#values += length / 4;
        else if (content === 'fixed64') this.#values += length / 8;
        else if (content !== undefined) {
          const refusal = depth < maxDepth ? this.message(content, from, to, depth + 1) : this.#tooDeep();
          if (refusal !== undefined) return refusal;
        }
        this.#at = to;
      } else return undefined;
      if (depth > maxDepth) return this.#tooDeep();
      if (this.#values > maxValues) return `it has more than ${maxValues} values`;
      if (this.#textBytes > maxTextBytes) return `it has more than ${maxTextBytes} bytes of text`;
    }
    return undefined;
  }

  #tooDeep(): string {
    return `it is nested deeper than ${this.#limits.maxDepth}`;
  }

  /** Up to 2^53; a varint of more than ten bytes ends the message. */
  #varint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 10 && this.#at < this.#bytes.length; count += 1) {
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    this.#at = this.#bytes.length;
    return value;
  }

  #countVarints(from: number, to: number): number {
    let count = 0;
    for (let at = from; at < to && count <= this.#limits.maxValues; at += 1)
      if ((this.#bytes[at] ?? 0) < 0x80) count += 1;
    return count;
  }
}

function contentsOf(desc: DescMessage): ReadonlyMap<number, Content> {
  const known = contents.get(desc);
  if (known !== undefined) return known;
  const made = new Map<number, Content>();
  for (const field of desc.fields) {
    const content = contentOf(field);
    if (content !== undefined) made.set(field.number, content);
  }
  contents.set(desc, made);
  return made;
}

/** Bytes fields are not inspected. Map entries are counted but not inspected: requests have none. */
function contentOf(field: DescField): Content | undefined {
  if (field.message !== undefined && field.fieldKind !== 'map') return field.message;
  if (field.enum !== undefined) return 'varints';
  if (field.fieldKind === 'map' || field.scalar === undefined) return undefined;
  switch (field.scalar) {
    case ScalarType.BYTES:
      return undefined;
    case ScalarType.STRING:
      return 'text';
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return 'fixed32';
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 'fixed64';
    default:
      return 'varints';
  }
}
