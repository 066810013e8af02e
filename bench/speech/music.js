// Words made up for music, and words left out of speech in noise: `node bench/speech/music.js --model DIR --python PATH`. Results: results.md.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { music } from '../../inference/dist/test/support/music.js';
import { temporaryDir } from '../support/dir.js';
import { readOptions, runPython } from '../support/measure.js';
import { wavOf } from '../support/wav.js';
import { audioFiles, SAID, samplesOf, wordErrors } from './audio-files.js';
import { noisy } from './clips.js';
import { openWhisper } from './transcribe.js';

const flags = readOptions({
  /** faster-whisper's form of Whisper base; absent: this server alone. */
  model: undefined,
  /** `music` or `noise` alone. */
  only: '',
});

/** Seconds and seed of each clip. */
const CLIPS = [
  [5, 3],
  [7, 11],
  [9, 16],
  [10, 12],
  [11, 17],
  [12, 5],
  [13, 18],
  [15, 13],
  [20, 14],
  [24, 15],
];
/** Undefined: to be detected. */
const LANGUAGES = ['ko', 'en', 'ja', undefined];

/** Of the noise that speech is hidden in. */
const DECIBELS = [10, 5, 0];

const dir = temporaryDir();
const whisper = await openWhisper(flags.shared);

/** Transcripts of clips by this server and, if available, by faster-whisper. */
async function transcriptsOf(clips, language) {
  const ours = [];
  for (const { samples } of clips) ours.push((await whisper.transcribe(samples, { language })).text);
  const files = [];
  for (const { name, samples } of clips) {
    files.push(join(dir, `${name}.wav`));
    await writeFile(files.at(-1), wavOf(samples));
  }
  const job = { texts: true, model: flags.model, language, files };
  const theirs = flags.model && runPython(flags.python, new URL('./peer.py', import.meta.url), job);
  for (const [at, { name }] of clips.entries()) console.error(language, name, [ours[at], theirs?.[at]]);
  return [ours, theirs];
}

console.log('| music, language | clips with any text: this server | faster-whisper int8 |');
console.log('|---|---|---|');
const clips = CLIPS.map(([seconds, seed]) => ({ name: `music-${seconds}-${seed}`, samples: music(seconds, seed) }));
for (const language of flags.only === 'noise' ? [] : LANGUAGES) {
  const counts = (await transcriptsOf(clips, language)).map(
    (texts) => texts?.filter((text) => text !== '').length ?? '-',
  );
  console.log(`| ${[language ?? 'detected', ...counts].join(' | ')} |`);
}

console.log('\n| noise, dB | no text, words wrong: this server | faster-whisper int8 |');
console.log('|---|---|---|');
for (const decibels of flags.only === 'music' ? [] : DECIBELS) {
  const spoken = [];
  for (const [at, path] of audioFiles(flags.shared).entries()) {
    spoken.push({ name: `noise-${decibels}-${at}`, samples: noisy(await samplesOf(path), decibels) });
  }
  const columns = (await transcriptsOf(spoken, 'en')).map((texts) => {
    if (texts === undefined) return '-';
    const wrong = texts.reduce((sum, text, at) => sum + wordErrors(text, SAID[at]).errors, 0);
    return `${texts.filter((text) => text === '').length}, ${wrong}`;
  });
  console.log(`| ${[decibels, ...columns].join(' | ')} |`);
}
await whisper.close();
