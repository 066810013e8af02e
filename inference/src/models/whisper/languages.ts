/** Returns the most probable of the model's languages and its probability. */
export function likeliestLanguage(
  logits: Float32Array,
  languages: ReadonlyMap<string, number>,
): { readonly language: string; readonly probability: number } {
  let best: { language: string; score: number } | undefined;
  for (const [language, token] of languages) {
    const score = logits[token] ?? Number.NEGATIVE_INFINITY;
    if (best === undefined || score > best.score) best = { language, score };
  }
  if (best === undefined) throw new Error('Expected a model with languages.');
  const { language, score: highest } = best;
  let sum = 0;
  for (const token of languages.values()) sum += Math.exp((logits[token] ?? Number.NEGATIVE_INFINITY) - highest);
  return { language, probability: 1 / sum };
}
