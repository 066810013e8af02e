// Measures the CPU time of audio decoding: `node bench/media/decode.js` (needs ffmpeg). See README.md.
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { temporaryDir } from '../support/dir.js';
import { inRepository, median, readOptions } from '../support/measure.js';

const flags = readOptions({
  seconds: 120,
  /** The `dist` directory of another build, to alternate with. */
  against: undefined,
  only: undefined,
});
const SECONDS = String(flags.seconds);
const VIDEO = ['-f', 'lavfi', '-i', `testsrc=size=640x360:rate=25:duration=${SECONDS}`];
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast'];
/** Name, file extension, ffmpeg options, and whether there is a video track. */
const FORMATS = [
  ['WAV, 48 kHz stereo', 'wav', ['-c:a', 'pcm_s16le', '-ar', '48000', '-ac', '2']],
  ['FLAC', 'flac', ['-c:a', 'flac', '-ar', '48000', '-ac', '2']],
  ['MP3', 'mp3', ['-c:a', 'libmp3lame', '-b:a', '64k', '-ar', '44100', '-ac', '2']],
  ['Ogg Vorbis', 'ogg', ['-c:a', 'libvorbis', '-ar', '48000', '-ac', '2']],
  ['Ogg Opus', 'opus', ['-c:a', 'libopus', '-b:a', '32k', '-ac', '2']],
  ['M4A', 'm4a', ['-c:a', 'aac', '-b:a', '64k', '-ar', '44100', '-ac', '2', '-movflags', '+faststart']],
  [
    'MP4 with images, index first',
    'mp4',
    [...H264, '-c:a', 'aac', '-ar', '48000', '-ac', '2', '-movflags', '+faststart'],
    true,
  ],
  [
    'MP4 with images, fragments',
    'frag.mp4',
    [...H264, '-c:a', 'aac', '-ar', '48000', '-ac', '2', '-movflags', 'frag_keyframe+empty_moov'],
    true,
  ],
  ['QuickTime, PCM', 'mov', [...H264, '-c:a', 'pcm_s16le', '-ar', '48000', '-ac', '2'], true],
  [
    'WebM, Opus',
    'webm',
    ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus', '-ac', '2'],
    true,
  ],
  ['Matroska, AAC', 'mkv', [...H264, '-c:a', 'aac', '-ar', '48000', '-ac', '2'], true],
  ['MPEG-TS, AAC', 'ts', [...H264, '-c:a', 'aac', '-ar', '48000', '-ac', '2'], true],
  ['ADTS', 'aac', ['-c:a', 'aac', '-ar', '44100', '-ac', '2']],
];
const SAMPLES = ['party', 'models', 'search'].map((name) => inRepository(`demo/samples/speech/${name}.flac`));

const builds = [['this build', inRepository('inference/dist')]];
if (flags.against !== undefined) builds.push(['the other', resolve(flags.against)]);
const openers = await Promise.all(
  builds.map(async ([name, dist]) => [
    name,
    (await import(pathToFileURL(join(dist, 'src/media/audio/index.js')))).openAudio,
  ]),
);

async function* inChunks(bytes) {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

/** Returns seconds of audio per second of CPU time over all threads, or undefined if decoding fails. */
async function speedOf(openAudio, bytes) {
  const before = process.cpuUsage();
  try {
    const source = await openAudio(inChunks(bytes), { maxSeconds: 100_000, signal: new AbortController().signal });
    let samples = 0;
    for (let block = await source.read(48_000); block !== null; block = await source.read(48_000))
      samples += block.length;
    await source.close();
    const { user, system } = process.cpuUsage(before);
    return samples / 16_000 / ((user + system) / 1e6);
  } catch {
    return undefined;
  }
}

const dir = temporaryDir();
console.log(`seconds of audio per second of CPU time, median of ${flags.rounds}\n`);
console.log(`| format | MB | ${builds.map(([name]) => name).join(' | ')} |`);
console.log(`|---|---|${builds.map(() => '---|').join('')}`);
for (const [name, ending, settings, images] of FORMATS) {
  if (flags.only !== undefined && !name.includes(flags.only)) continue;
  const path = join(dir, `made.${ending}`);
  const inputs = ['-stream_loop', '-1', '-t', SECONDS, '-i', SAMPLES[0]];
  const args = ['-y', '-v', 'error', ...(images ? VIDEO : []), ...inputs, '-t', SECONDS, ...settings, path];
  const made = spawnSync(flags.ffmpeg, args, { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`ffmpeg could not create ${name}: ${made.error?.message ?? made.stderr}`);
  const bytes = await readFile(path);
  const speeds = openers.map(() => []);
  for (let round = 0; round < flags.rounds; round += 1) {
    for (const [index, [, openAudio]] of openers.entries()) {
      const speed = await speedOf(openAudio, bytes);
      if (speed !== undefined) speeds[index].push(speed);
    }
  }
  const cells = speeds.map((each) => (each.length === 0 ? 'refused' : `${Math.round(median(each))}`));
  console.log(`| ${name} | ${(bytes.length / 1e6).toFixed(1)} | ${cells.join(' | ')} |`);
}
