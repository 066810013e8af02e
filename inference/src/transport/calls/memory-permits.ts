/**
 * Permits for the memory of requests, in bytes. A call acquires before it reads, decompresses or decodes, and releases
 * at its end. This counts work, not the process's resident memory.
 */
import { BULK_FRACTION, type Priority } from '../../priority.js';

/** The permits of one call. */
export interface Permit {
  readonly bytes: number;
  /** How many more the call may hold now. */
  readonly freeBytes: number;
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

  /** A permit for this many bytes; undefined when they are not free. A bulk call counts what all others hold, unless it is alone. */
  acquire(bytes: number, priority: Priority): Permit | undefined {
    let held = 0;
    const free = () => {
      const isAlone = this.#heldBytes === held;
      return priority === 'interactive' || isAlone
        ? this.freeBytes
        : Math.max(0, this.totalBytes * BULK_FRACTION - this.#heldBytes);
    };
    if (bytes > free()) return undefined;
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
      get freeBytes() {
        return free();
      },
      resize: (wanted) => {
        if (wanted > held && wanted - held > free()) return false;
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
