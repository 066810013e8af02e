// What a line says about the answers of both.
import { wordErrors } from '../../speech/audio-files.js';
import { cosine } from '../../support/measure.js';

export const sameDirection = (one, other) => `cosine ${cosine(one, other).toFixed(4)}`;

export function differingWords(own, theirs) {
  const { errors, words } = sumOf(own.map((text, index) => wordErrors(text, theirs[index])));
  return `${errors} of ${words} words differ`;
}

/** Counts the words of each that differ from what was said. */
export function wrongWords(own, theirs, said) {
  const [ours, peers] = [own, theirs].map((texts) => sumOf(texts.map((text) => wordErrors(text, said))));
  return `${ours.errors} and ${peers.errors} of ${ours.words} words wrong`;
}

function sumOf(counts) {
  const sum = (field) => counts.reduce((total, one) => total + one[field], 0);
  return { errors: sum('errors'), words: sum('words') };
}

/** The vector of the last result. */
export const vectorOf = ({ results }) => results.at(-1).value.vector;
