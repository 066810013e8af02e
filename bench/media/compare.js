// Compares decoding with ffmpeg's, for whole, cut and damaged files of every container: `node bench/media/compare.js`. See README.md.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openAudio } from '../../inference/dist/src/media/audio/index.js';
import { joined } from '../speech/audio-files.js';
import { temporaryDir } from '../support/dir.js';
import { inRepository, readOptions } from '../support/measure.js';
import { placesOf, RATE } from './places.js';
import { DAMAGES, FILES } from './variants.js';

const flags = readOptions({
  /** Files whose names hold this. */
  only: '',
  /** A directory that keeps the files. */
  keep: undefined,
  /** Lists every file, not only those that differ. */
  all: false,
});
/** What is reported: times off by more, and speech that only one of the two has for longer. */
const OFF_SECONDS = 0.05;
const LOST_SECONDS = 0.5;

const dir = flags.keep ?? temporaryDir();
await mkdir(dir, { recursive: true });

function ffmpeg(...args) {
  return spawnSync(flags.ffmpeg, ['-y', '-v', 'error', ...args], { maxBuffer: 2 ** 28 });
}

/** Thirty seconds of speech that nowhere repeat themselves. */
async function source() {
  const path = join(dir, 'source.wav');
  if (existsSync(path)) return path;
  const speech = join(flags.shared, 'samples/speech');
  const own = inRepository('demo/samples/speech');
  const parts = [`${speech}/jfk.wav`, ...['party', 'models', 'search'].map((name) => `${own}/${name}.flac`)];
  const graph = `${parts.map((_, index) => `[${index}:a]aresample=48000,aformat=channel_layouts=mono[p${index}]`).join(';')};${parts
    .map((_, index) => `[p${index}]`)
    .join('')}concat=n=${parts.length}:v=0:a=1`;
  const made = ffmpeg(...parts.flatMap((part) => ['-i', part]), '-filter_complex', graph, path);
  if (made.status !== 0) throw new Error(`ffmpeg could not make the source: ${made.stderr}`);
  return path;
}

/** Makes the files and their damaged copies; returns their names. */
async function make() {
  const from = await source();
  for (const { name, ending, settings, video } of FILES) {
    const path = join(dir, `${name}.whole.${ending}`);
    if (!existsSync(path)) {
      const images = video ? ['-f', 'lavfi', '-i', 'testsrc=size=160x120:rate=25:duration=30'] : [];
      const made = ffmpeg(...images, '-i', from, ...(video ? ['-shortest'] : []), ...settings, path);
      if (made.status !== 0) {
        console.error(`${name}: ffmpeg could not make it: ${String(made.stderr).trim().split('\n').at(-1)}`);
        continue;
      }
    }
    for (const damage of DAMAGES) {
      const copy = join(dir, `${name}.${damage.name}.${ending}`);
      if (existsSync(copy)) continue;
      if ('settings' in damage) ffmpeg(...damage.before, '-i', path, ...damage.settings, copy);
      else await writeFile(copy, damage.of(await readFile(path)));
    }
  }
  return (await readdir(dir)).filter((file) => /\.(whole|cut|bytes)/.test(file) && file.includes(flags.only)).sort();
}

async function ours(path) {
  const bytes = await readFile(path);
  async function* inChunks() {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
  const parts = [];
  try {
    const audio = await openAudio(inChunks(), { maxSeconds: 3_600, signal: new AbortController().signal });
    for (let part = await audio.read(RATE); part !== null; part = await audio.read(RATE)) parts.push(part);
    await audio.close();
    return { samples: joined(parts), said: audio.warnings.join(' ') };
  } catch (error) {
    return { samples: new Float32Array(0), said: `REFUSED ${error.message}` };
  }
}

/** ffmpeg's samples; `filled`: with silence in the gaps of the timestamps. */
function theirs(path, filled) {
  const filter = filled ? ['-af', 'aresample=async=1:min_hard_comp=0.02:first_pts=0'] : [];
  const { stdout } = ffmpeg('-i', path, '-map', '0:a:0', ...filter, '-ac', '1', '-ar', `${RATE}`, '-f', 'f32le', '-');
  return new Float32Array(stdout.buffer.slice(stdout.byteOffset, stdout.byteOffset + (stdout.length & ~3)));
}

const seconds = (samples) => samples.length / RATE;
const ms = (value) => (value === undefined ? '-' : Math.round(value * 1_000));
console.log(
  '| file | ours s | ffmpeg s | filled s | ours off plain ms | ours off filled ms | only ffmpeg s | only ours s | said |',
);
console.log('|---|---|---|---|---|---|---|---|---|');
let seen = 0;
let listed = 0;
for (const file of await make()) {
  const path = join(dir, file);
  const { samples, said } = await ours(path);
  const [plain, filled] = [theirs(path, false), theirs(path, true)];
  const [toPlain, toFilled] = [placesOf(plain, samples), placesOf(filled, samples)];
  const off = (places) => places.off.map(ms).join(' ');
  const worst = Math.min(toPlain.worst, toFilled.worst);
  seen += 1;
  const length = Math.min(Math.abs(seconds(samples) - seconds(plain)), Math.abs(seconds(samples) - seconds(filled)));
  if (!flags.all && worst <= OFF_SECONDS && length <= OFF_SECONDS && toPlain.lost <= LOST_SECONDS) continue;
  listed += 1;
  const cells = [
    file,
    ...[samples, plain, filled].map((each) => seconds(each).toFixed(3)),
    off(toPlain),
    off(toFilled),
    toPlain.lost.toFixed(1),
    placesOf(samples, plain).lost.toFixed(1),
    said.replaceAll('|', '/').slice(0, 160),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
console.error(`${listed} of ${seen} files differ.`);
