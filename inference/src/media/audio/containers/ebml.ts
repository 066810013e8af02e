/** The header of an element of EBML (RFC 8794). */
export interface Header {
  readonly id: number;
  /** Size of the body; undefined if unknown. */
  readonly size: number | undefined;
  readonly headerBytes: number;
}

/** Reads the header at a position; undefined if there is none, or it is cut. */
export function readHeader(bytes: Uint8Array, at: number): Header | undefined {
  const idBytes = Math.clz32(bytes[at] ?? 0) - 23;
  const sizeBytes = Math.clz32(bytes[at + idBytes] ?? 0) - 23;
  const headerBytes = idBytes + sizeBytes;
  if (idBytes > 4 || sizeBytes > 8 || at + headerBytes > bytes.length) return undefined;
  const id = numberOf(bytes.subarray(at, at + idBytes));
  // The marker is no part of a size. Above 2^53 the last bits are lost: such a size is too large, or unknown (all bits set).
  const upper = (bytes[at + idBytes] ?? 0) & (0xff >> sizeBytes);
  const size = numberOf(bytes.subarray(at + idBytes + 1, at + headerBytes), upper);
  return { id, size: size === 2 ** (7 * sizeBytes) - 1 ? undefined : size, headerBytes };
}

/** An unsigned number, the highest byte first; `upper` is in front of it. */
export function numberOf(bytes: Uint8Array, upper = 0): number {
  return bytes.reduce((number, byte) => number * 256 + byte, upper);
}
