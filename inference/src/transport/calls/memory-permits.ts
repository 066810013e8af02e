/**
 * The memory that requests may hold, in bytes. A call acquires before it reads, unpacks or decodes, and releases when it is over. What is
 * counted here falls with the work; the resident memory of the process does not.
 */

/** What one call holds of the permits. */
export interface Permit {
  readonly bytes: number;
  /** Holds this many bytes from now on. False, and nothing changes, where more is wanted than is free. */
  resize(bytes: number): boolean;
  /** Holds this many bytes whether they are free or not: what is there already must be counted. */
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

  /** A permit for this many bytes; undefined where they are not free. */
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
