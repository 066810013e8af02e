import { BitReader } from './bit-reader.js';

/** Id of the element in a frame (ISO 14496-3, table 4.85). */
const PROGRAM_CONFIG_ID = 5;
const ID_BITS = 3;
const ELEMENT_ID_BITS = 4;
/** Bits of the three downmix descriptions, each after a bit that tells whether it is there. */
const DOWNMIX_BITS = [4, 4, 3] as const;

/** Whether a frame begins with a program config element. */
export function beginsWithProgramConfig(frame: Uint8Array): boolean {
  return (frame[0] ?? 0) >> (8 - ID_BITS) === PROGRAM_CONFIG_ID;
}

/** Returns the program config element at the beginning of a frame, without its comment; undefined if there is none. */
export function programConfigOf(frame: Uint8Array): Uint8Array | undefined {
  return beginsWithProgramConfig(frame) ? readProgramConfig(frame, ID_BITS) : undefined;
}

/**
 * Reads a program config element (ISO 14496-3, 4.4.1.1), which lists the channels where no number of table 1.19 does, at a bit
 * position. Returns it as the element of a frame, which it fills to a byte, without its comment; undefined if it is cut.
 */
export function readProgramConfig(bytes: Uint8Array, position: number): Uint8Array | undefined {
  const reader = new BitReader(bytes, position);
  // Instance, object type, rate.
  reader.read(4 + 2 + 4);
  const channelElements = reader.read(4) + reader.read(4) + reader.read(4);
  const lowFrequencyElements = reader.read(2);
  const dataElements = reader.read(3);
  const couplingElements = reader.read(4);
  for (const bits of DOWNMIX_BITS) if (reader.read(1) === 1) reader.read(bits);
  const elementBits =
    (channelElements + couplingElements) * (1 + ELEMENT_ID_BITS) +
    (lowFrequencyElements + dataElements) * ELEMENT_ID_BITS;
  const bits = reader.position + elementBits - position;
  if (position + bits > 8 * bytes.length || channelElements + lowFrequencyElements === 0) return undefined;
  return elementOf(new BitReader(bytes, position), bits);
}

/** Writes the id, the bits, zeros up to a byte, and a comment of no bytes. */
function elementOf(reader: BitReader, bits: number): Uint8Array {
  const wholeBytes = Math.ceil((ID_BITS + bits) / 8);
  const element = new Uint8Array(wholeBytes + 1);
  element[0] = (PROGRAM_CONFIG_ID << (8 - ID_BITS)) | reader.read(8 - ID_BITS);
  for (let at = 1, left = bits - (8 - ID_BITS); at < wholeBytes; at++, left -= 8) {
    const read = Math.min(8, left);
    element[at] = reader.read(read) << (8 - read);
  }
  return element;
}
