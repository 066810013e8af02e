/** Reads bits, the most significant first. Returns zeros beyond the end; `exhausted` reports that. */
export class BitReader {
  constructor(
    readonly bytes: Uint8Array,
    public position = 0,
  ) {}

  get exhausted(): boolean {
    return this.position > 8 * this.bytes.length;
  }

  get leftBits(): number {
    return 8 * this.bytes.length - this.position;
  }

  /** Returns the next 32 bits without consuming them, as a signed integer. */
  peek(): number {
    const at = this.position >> 3;
    const shift = this.position & 7;
    const { bytes } = this;
    const word =
      ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    return shift === 0 ? word : (word << shift) | ((bytes[at + 4] ?? 0) >> (8 - shift));
  }

  /** Reads 0 to 32 bits as an unsigned integer. */
  read(bits: number): number {
    if (bits === 0) return 0;
    const value = this.peek() >>> (32 - bits);
    this.position += bits;
    return value;
  }

  /** Reads 1 to 32 bits as a signed integer. */
  readSigned(bits: number): number {
    const value = this.peek() >> (32 - bits);
    this.position += bits;
    return value;
  }
}
