/** How far what was heard is from what was said. */
export interface WordErrors {
  /** Words that are wrong, missing or too many. */
  readonly wrong: number;
  /** Words that were said. */
  readonly of: number;
}

/** Word errors by the least number of changes (Levenshtein); punctuation and case do not count. */
export function wordErrors(said: string, heard: string): WordErrors {
  const expected = wordsOf(said);
  let row = [...Array(expected.length + 1).keys()];
  for (const [place, word] of wordsOf(heard).entries()) {
    const next = [place + 1];
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
