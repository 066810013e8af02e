// Compares the speed with faster-whisper and transformers.js: `node bench/speech/run.js --model DIR --python PATH`.
// Results: results.md.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from '@huggingface/transformers';
import { openAudio } from '../../inference/dist/src/media/audio/index.js';
import { temporaryDir } from '../support/dir.js';
import { readOptions, runPython } from '../support/measure.js';
import { SESSION } from '../support/transformers-js.js';
import { wavOf } from '../support/wav.js';
import { audioFiles, RATE, samplesOf, signal, threeMinutes, wordErrors } from './audio-files.js';
import { openWhisper, whisperDir } from './transcribe.js';

const flags = readOptions({
  /** Directory of the same weights in faster-whisper's format. */
  model: undefined,
  rounds: 3,
  /** Only the long audio, without transformers.js. */
  long: false,
});
const { rounds } = flags;
/** Returns the best of `rounds` after a warm-up round. */
async function best(run) {
  const figures = { wallSeconds: Number.POSITIVE_INFINITY, cpuSeconds: Number.POSITIVE_INFINITY, text: '' };
  for (let round = 0; round <= rounds; round += 1) {
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    figures.text = await run();
    figures.wallSeconds = Math.min(figures.wallSeconds, (performance.now() - startedAt) / 1000);
    const used = process.cpuUsage(cpu);
    figures.cpuSeconds = Math.min(figures.cpuSeconds, (used.user + used.system) / 1e6);
  }
  return figures;
}

const dir = temporaryDir();
const longPath = join(dir, 'long.wav');
await writeFile(longPath, wavOf(await threeMinutes(flags.shared)));
const all = audioFiles(flags.shared);
const files = flags.long ? [longPath] : [all[3], all[5], all[0], longPath];
const seconds = await Promise.all(files.map(async (path) => (await samplesOf(path)).length / RATE));

/** Transcribes a file, including audio decoding; the model runs in this process. */
async function ours(whisper, path, options) {
  const source = await openAudio(await readFile(path), { maxSeconds: 3600, signal });
  try {
    return (await whisper.transcribe(source, options)).text;
  } finally {
    await source.close();
  }
}

const whisper = await openWhisper(flags.shared);
const mine = [];
const chunked = [];
for (const path of files) {
  mine.push(await best(() => ours(whisper, path, {})));
  chunked.push(await best(() => ours(whisper, path, { conditionOnPreviousText: false })));
}
const megabytes = process.resourceUsage().maxRSS / 1024;
await whisper.close();

const theirs = [];
if (!flags.long) {
  const recognizer = await pipeline('automatic-speech-recognition', whisperDir(flags.shared), {
    dtype: 'q8',
    session_options: SESSION,
  });
  for (const path of files) {
    const samples = await samplesOf(path);
    theirs.push(
      await best(async () => (await recognizer(samples, { return_timestamps: true, chunk_length_s: 30 })).text.trim()),
    );
  }
}

const peer =
  flags.model === undefined
    ? undefined
    : runPython(flags.python, new URL('./peer.py', import.meta.url), { model: flags.model, files, rounds });

// One thread each: CPU seconds equal the run time and hardly depend on other programs.
console.log('| audio | program | seconds of audio per second | CPU seconds | times faster-whisper |');
console.log('|---|---|---|---|---|');
files.forEach((_, index) => {
  const faster = peer?.answers[index];
  const rows = [
    ['faster-whisper, int8', faster?.sequential],
    ['faster-whisper, int8, batches of 8', faster?.batched],
    ['@huggingface/transformers, q8', theirs[index]],
    ['this server, q8', mine[index]],
    ['this server, q8, without the text before', chunked[index]],
  ];
  for (const [name, figures] of rows) {
    if (figures === undefined) continue;
    const rate = seconds[index] / figures.wallSeconds;
    const times = faster === undefined ? '-' : (faster.sequential.cpuSeconds / figures.cpuSeconds).toFixed(2);
    const length = `${seconds[index].toFixed(1)} s`;
    console.log(`| ${length} | ${name} | ${rate.toFixed(1)} | ${figures.cpuSeconds.toFixed(2)} | ${times} |`);
  }
});
console.log(
  `\nlargest resident set: this server ${megabytes.toFixed(0)} MB, faster-whisper ${peer?.megabytes.toFixed(0) ?? '-'} MB\n`,
);
files.forEach((path, index) => {
  const transcribed = [
    ['this server', mine[index]],
    ['without the text before', chunked[index]],
    ['faster-whisper', peer?.answers[index].sequential],
    ['its batches', peer?.answers[index].batched],
  ];
  console.log(`${seconds[index].toFixed(1)} s`);
  for (const [name, figures] of transcribed) {
    if (figures === undefined) continue;
    const { errors, words } = wordErrors(figures.text);
    const wrong = path === longPath ? `${errors} of ${words}` : '';
    console.log(`  ${name.padEnd(24)} ${wrong} ${figures.text.slice(0, 120)}`);
  }
});
