/** Encodes texts to token ids, without special tokens. */
export interface IdSource {
  /** Special tokens before and after each text. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Returns the first ids of a text; may stop once there are more than `limit`. */
  idsOf(text: string, limit: number): readonly number[];
  /** Returns the last ids of a text; may stop once there are more than `limit`. */
  lastIdsOf(text: string, limit: number): readonly number[];
}
