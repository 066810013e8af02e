import { normalize } from '../vectors.js';

/** Names that exports of SigLIP give the embedding, the best first. */
const OUTPUT_NAMES = ['pooler_output', 'image_embeds', 'text_embeds', 'embeddings', 'sentence_embedding'];

/** Which of a tower's outputs is the embedding. Throws when none is. */
export function embeddingOutput(names: readonly string[]): string {
  const name =
    OUTPUT_NAMES.find((candidate) => names.includes(candidate)) ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined) {
    throw new Error(`Expected a tower with an output named ${OUTPUT_NAMES.join(', ')}, got ${names.join(', ')}.`);
  }
  return name;
}

/** Rows of an output of `count` x dimensions, as vectors of their own. */
export function splitRows(output: Float32Array, count: number): readonly Float32Array[] {
  const dimensions = output.length / count;
  return Array.from({ length: count }, (_, row) => output.slice(row * dimensions, (row + 1) * dimensions));
}

/** An item's answer: as the tower gave it, or scaled to length 1. */
export function finishVector(row: Float32Array, normalized: boolean): Float32Array {
  return normalized ? normalize(row) : row;
}
