/** Names of the embedding output in SigLIP exports, in order of preference. */
const OUTPUT_NAMES = ['pooler_output', 'image_embeds', 'text_embeds', 'embeddings', 'sentence_embedding'];

/** Finds the embedding among a tower's outputs. Throws when there is none. */
export function embeddingOutput(names: readonly string[]): string {
  const name =
    OUTPUT_NAMES.find((candidate) => names.includes(candidate)) ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined) {
    throw new Error(`Expected a tower with an output named ${OUTPUT_NAMES.join(', ')}, got ${names.join(', ')}.`);
  }
  return name;
}

/** Copies the rows of an output of `count` x dimensions into separate vectors. */
export function splitRows(output: Float32Array, count: number): readonly Float32Array[] {
  const dimensions = output.length / count;
  return Array.from({ length: count }, (_, row) => output.slice(row * dimensions, (row + 1) * dimensions));
}
