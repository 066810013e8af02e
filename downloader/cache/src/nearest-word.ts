/** Maximum length of compared words: a longer one is not a misspelt name. */
const MAX_LENGTH = 96;

/**
 * Returns the known word that a misspelt one most likely means; undefined if none is similar. Similar is one edit in a short word
 * and two in one of 8 letters or more; an edit is an inserted, deleted or replaced letter, or two adjacent letters swapped
 * (optimal string alignment distance). Case is ignored. Returns undefined for a known word.
 */
export function nearestWord(word: string, known: Iterable<string>): string | undefined {
  const lowerCase = word.toLowerCase();
  let best: { readonly candidate: string; readonly slips: number } | undefined;
  if (word.length > MAX_LENGTH) return undefined;
  for (const candidate of known) {
    const length = Math.max(lowerCase.length, candidate.length);
    const allowed = length < 8 ? 1 : 2;
    if (Math.abs(lowerCase.length - candidate.length) > allowed) continue;
    const slips = countSlips(lowerCase, candidate.toLowerCase());
    if (slips === 0) return undefined;
    if (slips <= allowed && slips < (best?.slips ?? Number.POSITIVE_INFINITY)) best = { candidate, slips };
  }
  return best?.candidate;
}

/** Optimal string alignment distance (Damerau and Levenshtein, no part changed twice). */
export function countSlips(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let slips = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + change);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) slips = Math.min(slips, (beforeLast[j - 2] ?? 0) + 1);
      row.push(slips);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? a.length;
}

/** `; did you mean "medium"?`, or nothing. For the end of a message. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const nearest = nearestWord(word, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}
