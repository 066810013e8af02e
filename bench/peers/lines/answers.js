// What a line says about the answers of both.
import { wordErrors } from '../../speech/audio-files.js';

export function cosine(one, other) {
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  return `cosine ${(dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other))).toFixed(4)}`;
}

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
