/** One search result. */
export interface Ranked {
  /** Index of the vector. */
  readonly index: number;
  /** Dot product with the query: the cosine similarity of normalized vectors. */
  readonly score: number;
}

/**
 * Returns the vectors with the highest dot product, best first; ties keep their order. Throws RangeError if the vectors do
 * not have the query's dimensions.
 *
 * @param query one vector, [dimensions]
 * @param vectors row-major [count, dimensions]
 * @param limit maximum number of results
 */
export function rank(query: Float32Array, vectors: Float32Array, limit: number): Ranked[] {
  if (query.length === 0 || vectors.length % query.length !== 0) {
    throw new RangeError(`Expected vectors of the query's ${query.length} dimensions, got ${vectors.length} numbers`);
  }
  const scores: Ranked[] = [];
  for (let at = 0; at < vectors.length; at += query.length) {
    scores.push({ index: at / query.length, score: dot(query, vectors, at) });
  }
  return scores.sort((one, other) => other.score - one.score || one.index - other.index).slice(0, limit);
}

function dot(query: Float32Array, vectors: Float32Array, at: number): number {
  let sum = 0;
  for (let index = 0; index < query.length; index += 1) sum += (query[index] ?? 0) * (vectors[at + index] ?? 0);
  return sum;
}
