/**
 * Permits for the memory of requests, in bytes. A call acquires before it reads, decompresses or decodes, and releases
 * at its end. This counts work, not the process's resident memory.
 */

/** The permits of one call. */
export interface Permit {
  readonly bytes: number;
  /** Changes the number of held bytes. Returns false, without any change, when not enough are free. */
  resize(bytes: number): boolean;
  /** Holds this many bytes even if not free, for memory that is already in use. */
  force(bytes: number): void;
  /** Idempotent. */
  release(): void;
}

export class MemoryPermits {
  readonly totalBytes: number;
  #heldBytes = 0;

  constructor(totalBytes: number) {
    this.totalBytes = totalBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  get freeBytes(): number {
    return Math.max(0, this.totalBytes - this.#heldBytes);
  }

  /** A permit for this many bytes; undefined when they are not free. */
  acquire(bytes: number): Permit | undefined {
    if (bytes > this.freeBytes) return undefined;
    let held = 0;
    let released = false;
    const hold = (wanted: number) => {
      if (released) return;
      this.#heldBytes += wanted - held;
      held = wanted;
    };
    hold(bytes);
    return {
      get bytes() {
        return held;
      },
      resize: (wanted) => {
        if (wanted > held && wanted - held > this.freeBytes) return false;
        hold(wanted);
        return true;
      },
      force: hold,
      release: () => {
        hold(0);
        released = true;
      },
    };
  }
}
