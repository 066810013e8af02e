// Measures word errors of lossy copies: `node bench/speech/copies/run.js --model DIR --python PATH` (needs ffmpeg with flite). See ../README.md.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { temporaryDir } from '../../support/dir.js';
import { inRepository, runPython } from '../../support/measure.js';
import { wavOf } from '../../support/wav.js';
import { samplesOf, wordErrors } from '../recordings.js';
import { openWhisper } from '../transcribe-window.js';
import { makeCopies } from './make.js';

const { values: flags } = parseArgs({
  options: {
    shared: { type: 'string', default: inRepository('../shared') },
    ffmpeg: { type: 'string', default: 'ffmpeg' },
    python: { type: 'string', default: 'python3' },
    /** Directory of Whisper base in faster-whisper's format. */
    model: { type: 'string' },
    /** Selects copies by a part of the name. */
    only: { type: 'string', default: '' },
    /** Programs to run, by the names below. */
    programs: { type: 'string', default: 'ours,whole,safe,alone,int8,float32' },
  },
});

/** This server by default, without merged silence, with overflow-safe weights, and not conditioned on previous text. */
const OURS = {
  ours: [{}, {}],
  whole: [{}, { wholeWindows: true }],
  safe: [{ weights: 'overflow-safe' }, {}],
  alone: [{}, { conditionOnPreviousText: false }],
};
/** faster-whisper's compute types. */
const PEERS = ['int8', 'float32'];

const dir = temporaryDir();
const copies = await makeCopies(dir, flags);
// Every program gets the same samples, decoded by this server.
for (const copy of copies) {
  copy.samples = await samplesOf(copy.path);
  copy.wav = join(dir, `${copy.name.replace(' ', '-')}.decoded.wav`);
  await writeFile(copy.wav, wavOf(copy.samples));
}

const columns = [];
for (const program of flags.programs.split(',')) {
  const texts = PEERS.includes(program) ? peerTexts(program) : await ourTexts(program);
  if (texts === undefined) continue;
  const wrong = copies.map(({ said }, index) => wordErrors(texts[index], said).errors);
  console.error(program, wrong.join(' '));
  columns.push({ program, wrong });
}
console.log(`| word errors | of | ${columns.map(({ program }) => program).join(' | ')} |`);
console.log(`|---|---|${'---|'.repeat(columns.length)}`);
const rows = copies.map(({ name, said }, index) => [
  name,
  said.split(' ').length,
  ...columns.map(({ wrong }) => wrong[index]),
]);
const sums = rows.reduce((sum, [, ...counts]) => counts.map((count, at) => (sum[at] ?? 0) + count), []);
for (const row of [...rows, ['all', ...sums]]) console.log(`| ${row.join(' | ')} |`);

async function ourTexts(program) {
  const [loading, options] = OURS[program];
  const whisper = await openWhisper(flags.shared, loading);
  try {
    const texts = [];
    for (const { name, samples, said } of copies) {
      const { text } = await whisper.transcribe(samples, options);
      texts.push(text);
      console.error(program, name, wordErrors(text, said).errors);
    }
    return texts;
  } finally {
    await whisper.close();
  }
}

function peerTexts(type) {
  if (flags.model === undefined) return undefined;
  return runPython(flags.python, new URL('./peer.py', import.meta.url), {
    model: flags.model,
    type,
    files: copies.map(({ wav }) => wav),
  });
}
