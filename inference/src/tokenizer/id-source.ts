/** Makes the ids of a text, without what a tokenizer puts around it. */
export interface IdSource {
  /** What is put around every text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** The first ids of a text; it may stop as soon as it has more than `limit`. */
  idsOf(text: string, limit: number): readonly number[];
}
