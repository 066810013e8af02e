// The texts of the benchmarks of text embedding.
const COUNT = 256;
const WORDS = (
  'a boat on the open sea at night, two lamps and an old man who mends his net while the wind turns; ' +
  'nobody said a word about the harbour until morning, when the first ships came back with fish and news'
).split(' ');

/** Distinct texts of 4 to 80 words. */
export const TEXTS = Array.from({ length: COUNT }, (_, index) =>
  Array.from({ length: 4 + ((index * 37) % 77) }, (_, word) => WORDS[(index * 7 + word * 5) % WORDS.length]).join(' '),
);
