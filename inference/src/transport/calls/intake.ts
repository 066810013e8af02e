/**
 * Limits how much request data is read per turn of the event loop. A turn reads up to 2 MiB from each readable
 * connection: forty large bodies would block it for a quarter of a second, and any response needs three turns.
 */
import { KIB, MIB } from '@heimdex/common';

/** Bytes per turn: some milliseconds of copying. More data waits in the system's buffers, and then in its sender. */
const TURN_BYTES = 2 * MIB;
/** Maximum bytes per read: every resumed source delivers this much before it is paused again. */
const CHUNK_BYTES = 64 * KIB;

export interface Source {
  pause(): unknown;
  resume(): unknown;
}

export class Intake {
  readonly #turnBytes: number;
  /** In the order in which they were paused. */
  readonly #waiting = new Set<Source>();
  #bytes = 0;
  #scheduled = false;

  constructor(turnBytes = TURN_BYTES) {
    this.#turnBytes = turnBytes;
  }

  /**
   * Counts the bytes read from a source. When the turn's limit is reached the source is paused and resumed in a later
   * turn.
   */
  take(bytes: number, source: Source): void {
    this.#bytes += bytes;
    this.#schedule();
    if (this.#bytes < this.#turnBytes) return;
    source.pause();
    this.#waiting.add(source);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#bytes = 0;
      let room = Math.ceil(this.#turnBytes / CHUNK_BYTES);
      for (const source of this.#waiting) {
        if (room === 0) break;
        room -= 1;
        this.#waiting.delete(source);
        source.resume();
      }
      if (this.#waiting.size > 0) this.#schedule();
    });
  }
}
