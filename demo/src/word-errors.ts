/** Word errors of a transcript. */
export interface WordErrors {
  /** Substituted, missing and additional words. */
  readonly wrong: number;
  /** Words of the reference. */
  readonly of: number;
}

/** Counts word errors by Levenshtein distance, ignoring punctuation and case. */
export function wordErrors(reference: string, hypothesis: string): WordErrors {
  const expected = wordsOf(reference);
  let row = [...Array(expected.length + 1).keys()];
  for (const [index, word] of wordsOf(hypothesis).entries()) {
    const next = [index + 1];
    for (const [at, other] of expected.entries()) {
      const replaced = (row[at] ?? 0) + (word === other ? 0 : 1);
      next.push(Math.min(replaced, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return { wrong: row[expected.length] ?? 0, of: expected.length };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
}
