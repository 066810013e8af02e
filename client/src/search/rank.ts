/** Something found, and how near it is. */
export interface Ranked {
  /** Its place among the vectors. */
  readonly index: number;
  /** The dot product with the query: the cosine, where both are normalised. */
  readonly score: number;
}

/**
 * The nearest vectors, best first; of equals the earlier first.
 *
 * @param query one vector
 * @param vectors vectors of the same length, behind each other
 * @param most how many to give
 */
export function rank(query: Float32Array, vectors: Float32Array, most: number): Ranked[] {
  const scores: Ranked[] = [];
  for (let at = 0; at < vectors.length; at += query.length) {
    scores.push({ index: at / query.length, score: dot(query, vectors, at) });
  }
  return scores.sort((one, other) => other.score - one.score || one.index - other.index).slice(0, most);
}

function dot(query: Float32Array, vectors: Float32Array, at: number): number {
  let sum = 0;
  for (let place = 0; place < query.length; place += 1) sum += (query[place] ?? 0) * (vectors[at + place] ?? 0);
  return sum;
}
