/** Normalizes a vector to length 1, in place, if wanted. A zero vector is unchanged. */
export function finishVector(vector: Float32Array, normalized: boolean): Float32Array {
  if (!normalized) return vector;
  let sum = 0;
  for (const value of vector) sum += value * value;
  const scale = 1 / Math.max(Math.sqrt(sum), 1e-12);
  for (let index = 0; index < vector.length; index += 1) vector[index] = (vector[index] as number) * scale;
  return vector;
}
