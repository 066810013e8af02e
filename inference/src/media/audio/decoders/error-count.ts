/** Counts a decoder's errors and reports them to the caller as one warning, without the library's messages. */
export class ErrorCount {
  #count = 0;

  add(errors: readonly unknown[]): void {
    this.#count += errors.length;
  }

  warnings(format: string): readonly string[] {
    if (this.#count === 0) return [];
    return [`${this.#count} damaged ${format} frames were skipped.`];
  }
}
