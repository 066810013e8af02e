/**
 * How much of all requests is taken in before others get their turn. A turn of the event loop reads up to 2 MiB from each connection that
 * has them: forty large bodies take it for a quarter of a second, and an answer to anybody needs three turns.
 */

const KIB = 1024;
/** Of a turn: some milliseconds of copying. What comes meanwhile waits in the system, and then in its sender. */
const TURN_BYTES = 2 * 1024 * KIB;
/** What one read brings at the most: each that goes on brings so much before it is told to wait again. */
const CHUNK_BYTES = 64 * KIB;

export interface Source {
  pause(): unknown;
  resume(): unknown;
}

export class Intake {
  readonly #turnBytes: number;
  /** In the order in which they were told to wait. */
  readonly #waiting = new Set<Source>();
  #bytes = 0;
  #scheduled = false;

  constructor(turnBytes = TURN_BYTES) {
    this.#turnBytes = turnBytes;
  }

  /** Counts what a source has brought; when the turn is full it is paused, and goes on in a later one. */
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
