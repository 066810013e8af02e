// Words wrong in lossy copies: `node bench/speech/copies/run.js --model DIR --python PATH` (needs ffmpeg with flite). See ../README.md.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDir } from '../../support/dir.js';
import { readOptions, runPython } from '../../support/measure.js';
import { wavOf } from '../../support/wav.js';
import { samplesOf, wordErrors } from '../audio-files.js';
import { openWhisper } from '../transcribe.js';
import { makeCopies } from './make.js';
import { Texts } from './texts.js';

const flags = readOptions({
  /** Directory of Whisper base in faster-whisper's format. */
  model: undefined,
  /** The same weights, compiled to int8 and to fp32: directories of graphs. */
  int8: undefined,
  fp32: undefined,
  /** Copies whose names hold this. */
  only: '',
  /** Programs to try, by the names below. */
  programs: 'ours,whole,safe,alone,compiled,exact,int8,float32',
  /** A directory that keeps copies and texts: what is there is not made again. */
  keep: undefined,
  /** Says which words are wrong. */
  show: false,
});

/**
 * This server as it is, without merged silence, with overflow-safe weights, with windows that do not see the text before, with
 * graphs of its own compiler, and with every shortcut off.
 */
const OURS = {
  ours: [{}, {}],
  whole: [{}, { wholeWindows: true }],
  safe: [{ weights: 'overflow-safe' }, {}],
  alone: [{}, { conditionOnPreviousText: false }],
  compiled: [{ compiled: flags.int8 }, {}],
  exact: [{ compiled: flags.fp32 }, { wholeWindows: true }],
};
const NEEDED = { compiled: flags.int8, exact: flags.fp32, int8: flags.model, float32: flags.model };
/** faster-whisper's compute types. */
const PEERS = ['int8', 'float32'];

const dir = flags.keep ?? temporaryDir();
await mkdir(dir, { recursive: true });
const copies = await makeCopies(dir, flags);
// Every program gets the same samples, decoded by this server.
for (const copy of copies) {
  copy.samples = await samplesOf(copy.path);
  copy.wav = join(dir, `${copy.name.replace(' ', '-')}.decoded.wav`);
  await writeFile(copy.wav, wavOf(copy.samples));
}

const texts = await Texts.open(join(dir, 'texts.jsonl'));
const programs = flags.programs.split(',').filter((name) => !(name in NEEDED) || NEEDED[name] !== undefined);
for (const program of programs) {
  const left = copies.filter(({ name }) => texts.of(program, name) === undefined);
  if (left.length === 0) continue;
  if (PEERS.includes(program)) await askPeer(program, left);
  else await askOurs(program, left);
}
const wrongIn = (program, { name, said }) => wordErrors(texts.of(program, name) ?? '', said);
console.log(`| words wrong | of | ${programs.join(' | ')} |`);
console.log(`|---|---|${'---|'.repeat(programs.length)}`);
const rows = copies.map((copy) => [
  copy.name,
  copy.said.split(' ').length,
  ...programs.map((program) => wrongIn(program, copy).errors),
]);
const sums = rows.reduce((sum, [, ...counts]) => counts.map((count, at) => (sum[at] ?? 0) + count), []);
for (const row of [...rows, ['all', ...sums]]) console.log(`| ${row.join(' | ')} |`);
if (flags.show) {
  for (const copy of copies) {
    for (const program of programs) console.log(copy.name, program, wrongIn(program, copy).wrong.join(', '));
  }
}

async function askOurs(program, left) {
  const [loading, options] = OURS[program];
  const whisper = await openWhisper(flags.shared, loading);
  try {
    for (const { name, samples, said } of left) {
      const { text } = await whisper.transcribe(samples, options);
      await texts.keep(program, name, text);
      console.error(program, name, wordErrors(text, said).errors);
    }
  } finally {
    await whisper.close();
  }
}

async function askPeer(type, left) {
  const job = { texts: true, model: flags.model, type, files: left.map(({ wav }) => wav) };
  const transcribed = runPython(flags.python, new URL('../peer.py', import.meta.url), job) ?? [];
  for (const [index, text] of transcribed.entries()) await texts.keep(type, left[index].name, text);
}
