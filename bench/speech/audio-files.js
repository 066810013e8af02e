// Audio files shared by the speech benchmarks.
import { readFile } from 'node:fs/promises';
import { openAudio } from '../../inference/dist/src/media/audio/index.js';
import { inRepository } from '../support/measure.js';

export const RATE = 16_000;
export const signal = new AbortController().signal;

export function joined(parts) {
  const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** Decodes, downmixes and resamples a file as the server does. */
export async function samplesOf(path) {
  const source = await openAudio(await readFile(path), { maxSeconds: 3600, signal });
  const parts = [];
  for (let part = await source.read(RATE); part !== null; part = await source.read(RATE)) parts.push(part);
  await source.close();
  return joined(parts);
}

/** All audio files: four recorded, three synthesized. */
export function audioFiles(shared) {
  const sense = `${shared}/samples/speech/sense_and_sensibility_01_austen_64kb`;
  return [
    `${shared}/samples/speech/jfk.wav`,
    `${sense}-0870.wav`,
    inRepository('demo/samples/speech/search.flac'),
    `${sense}-0880.wav`,
    inRepository('demo/samples/speech/party.flac'),
    `${sense}-0930.wav`,
    inRepository('demo/samples/speech/models.flac'),
  ];
}

/** Their reference transcripts. */
export const SAID = [
  'and so my fellow americans ask not what your country can do for you ask what you can do for your country',
  'and mr john dashwood had then leisure to consider how much there might be prudently in his power to do for them',
  'you can search a video by the words that were spoken and by the things that were seen',
  'he was not an ill disposed young man',
  'please remember to bring the cake the candles and a bottle of water to the party on saturday',
  'he might even have been made amiable himself',
  'every model is downloaded once checked and then served without the network',
];

const orderOf = (turns) =>
  Array.from({ length: turns }, (_, turn) =>
    SAID.map((_, index) => ({ turn, index: (index * 3) % SAID.length })),
  ).flat();

/**
 * Returns all of them three times with increasing pauses: two and a half minutes. Nothing repeats within 30 s, which would look
 * like a repetition loop. `pauseSeconds` is the first pause.
 */
export async function threeMinutes(shared, turns = 3, pauseSeconds = 0.5) {
  const chunks = await Promise.all(audioFiles(shared).map(samplesOf));
  return joined(
    orderOf(turns).flatMap(({ turn, index }) => [
      chunks[index],
      new Float32Array(Math.round((pauseSeconds + 0.2 * turn) * RATE)),
    ]),
  );
}

export function saidInThreeMinutes(turns = 3) {
  return orderOf(turns)
    .map(({ index }) => SAID[index])
    .join(' ');
}

const plain = (text) =>
  text
    .toLowerCase()
    .replace(/\bmister\b/g, 'mr')
    .replace(/[^a-z0-9' ]+/g, ' ')
    .trim()
    .split(/ +/);

/** The edit distance of each number of first `words` (rows) to each number of first `expected` words (columns). */
export function editDistances(words, expected) {
  const rows = [Array.from({ length: expected.length + 1 }, (_, at) => at)];
  for (const word of words) {
    const row = rows.at(-1);
    const next = [row[0] + 1];
    for (const [at, other] of expected.entries()) {
      next.push(Math.min(row[at] + (word === other ? 0 : 1), row[at + 1] + 1, next[at] + 1));
    }
    rows.push(next);
  }
  return rows;
}

/**
 * Words that are wrong, missing or too many, how many there are, and which: `said>transcribed`, with nothing on one side for a word
 * that is missing or made up.
 */
export function wordErrors(transcribed, said = saidInThreeMinutes()) {
  const expected = plain(said);
  const words = plain(transcribed);
  const rows = editDistances(words, expected);
  const wrong = [];
  for (let i = words.length, at = expected.length; i > 0 || at > 0; ) {
    const cost = rows[i][at];
    const isSame = i > 0 && at > 0 && words[i - 1] === expected[at - 1];
    if (i > 0 && at > 0 && rows[i - 1][at - 1] + (isSame ? 0 : 1) === cost) {
      if (!isSame) wrong.unshift(`${expected[at - 1]}>${words[i - 1]}`);
      i -= 1;
      at -= 1;
    } else if (i > 0 && rows[i - 1][at] + 1 === cost) wrong.unshift(`>${words[--i]}`);
    else wrong.unshift(`${expected[--at]}>`);
  }
  return { errors: rows.at(-1).at(-1), words: expected.length, wrong };
}
