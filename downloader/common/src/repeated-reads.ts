/** Readers read a header several times, and the same packet again after a seek. */
const MAX_READS_IN_PLACE = 256;

/**
 * Detects a parser that reads the same position again and again. mediabunny 1.61 does so without end where it looks for the next
 * Matroska element and eight bytes are left; a source that then answers like the end of the file ends the search.
 */
export class RepeatedReads {
  #position: number | undefined;
  #reads = 0;

  /** Counts a read and returns whether it is one too many in place. */
  isStuck(position: number): boolean {
    this.#reads = position === this.#position ? this.#reads + 1 : 0;
    this.#position = position;
    return this.#reads >= MAX_READS_IN_PLACE;
  }
}
