/**
 * Serializes messages with large `bytes` fields. `toBinary` doubles its buffer as it writes, moves each nested message to make room
 * for its length, and copies the whole at the end: five copies of an image. Here each is copied once, into a buffer of its size.
 */
import { type DescField, type DescMessage, type MessageShape, ScalarType, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Shorter fields are left to `toBinary`. */
const LARGE_BYTES = 1024;
const EMPTY = new Uint8Array(0);

const known = new WeakMap<DescMessage, boolean>();

/** Serializes a message. Throws like `toBinary` for a value of the wrong type. */
export function encodeMessage<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): Buffer {
  if (holdsBytes(desc)) return Buffer.concat(partsOf(desc, message));
  const bytes = toBinary(desc, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * Returns the parts of a serialized message, to be joined: all that is small, then the large fields. The order of fields is free in
 * protobuf's encoding.
 */
function partsOf(desc: DescMessage, message: MessageShape<DescMessage>): readonly Uint8Array[] {
  const small: MessageShape<DescMessage> & Record<string, unknown> = { ...message };
  const large: Uint8Array[] = [];
  const add = ({ number }: DescField, parts: readonly Uint8Array[]) => {
    const bytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
    large.push(new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(bytes).finish(), ...parts);
  };
  for (const field of desc.fields.filter(mayBeLarge)) {
    const { localName } = field;
    const value = small[localName];
    if (field.fieldKind === 'scalar') {
      if (!(value instanceof Uint8Array) || value.byteLength < LARGE_BYTES) continue;
      add(field, [value]);
      small[localName] = EMPTY;
    } else if (field.fieldKind === 'list' && field.listKind === 'message') {
      for (const entry of value as MessageShape<DescMessage>[]) add(field, partsOf(field.message, entry));
      small[localName] = [];
    } else if (field.fieldKind === 'message' && value !== undefined) {
      add(field, partsOf(field.message, value as MessageShape<DescMessage>));
      delete small[localName];
    }
  }
  return [toBinary(desc, small), ...large];
}

/** Whether the field is `bytes`, or a message that contains some. One of a oneof is not: it is stored differently, and never large. */
function mayBeLarge(field: DescField): boolean {
  if (field.oneof !== undefined || field.fieldKind === 'map') return false;
  if (field.message === undefined) return field.scalar === ScalarType.BYTES;
  // Some of these are stored as their value.
  return !field.message.typeName.startsWith('google.protobuf.') && holdsBytes(field.message);
}

function holdsBytes(desc: DescMessage): boolean {
  const holds = known.get(desc);
  if (holds !== undefined) return holds;
  // A message that contains itself ends here.
  known.set(desc, false);
  const found = desc.fields.some(mayBeLarge);
  known.set(desc, found);
  return found;
}
