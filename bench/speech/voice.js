// Stretches of speech against faster-whisper's get_speech_timestamps: `node bench/speech/voice.js --vad FILE --python PATH`.
// See README.md.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDetector } from '../../inference/dist/src/models/silero/detector.js';
import { speechStretches } from '../../inference/dist/src/models/silero/speech-stretches.js';
import { inRepository, runPython } from '../support/measure.js';
import { RATE, recordings, samplesOf, threeMinutes } from './recordings.js';

const { values: flags } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    /** silero_vad_v6.onnx. */
    vad: { type: 'string' },
    shared: { type: 'string', default: inRepository('../shared') },
  },
});

/** The long recording with 8 s of silence behind each 20 s, and faint noise under all of it. */
function withSilences(samples) {
  let state = 1;
  const noise = () => {
    state = (state * 48_271) % 2_147_483_647;
    return 0.002 * (state / 1_073_741_823 - 1);
  };
  const parts = Math.ceil(samples.length / (20 * RATE));
  const all = Float32Array.from({ length: samples.length + parts * 8 * RATE }, noise);
  for (let part = 0; part < parts; part += 1) {
    samples.subarray(part * 20 * RATE, (part + 1) * 20 * RATE).forEach((sample, index) => {
      all[part * 28 * RATE + index] += sample;
    });
  }
  return all;
}

const files = recordings(flags.shared);
const long = await threeMinutes(flags.shared);
const all = [
  ...(await Promise.all(files.map(async (file) => [basename(file), await samplesOf(file)]))),
  ['all of them, three times', long],
  ['the same with silences of 8 s', withSilences(long)],
];
const folder = await mkdtemp(join(tmpdir(), 'heimdex-voice-'));
try {
  const paths = [];
  for (const [index, [, samples]] of all.entries()) {
    const path = join(folder, `${index}.f32`);
    await writeFile(path, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
    paths.push(path);
  }
  const theirs = runPython(flags.python, new URL('./voice.py', import.meta.url), { files: paths });
  const detector = await openDetector(flags.vad);
  const run = { signal: undefined, breathe: async () => {} };
  console.log(
    '| recording | seconds | stretches | kept, s | faster-whisper: stretches | kept, s | largest difference of a border, ms |',
  );
  console.log('|---|---|---|---|---|---|---|');
  const kept = (stretches) => (stretches.reduce((sum, [start, end]) => sum + end - start, 0) / RATE).toFixed(2);
  for (const [index, [name, samples]] of all.entries()) {
    const { probabilities } = await detector.run(samples, undefined, run);
    const ours = speechStretches(probabilities, samples.length).map(({ start, end }) => [start, end]);
    const other = theirs?.stretches[index] ?? [];
    const differences = ours.flatMap((borders, at) =>
      borders.map((border, side) => Math.abs(border - (other[at]?.[side] ?? 0))),
    );
    const largest = ours.length === other.length ? ((Math.max(0, ...differences) / RATE) * 1000).toFixed(1) : 'others';
    const seconds = (samples.length / RATE).toFixed(1);
    console.log(
      `| ${name} | ${seconds} | ${ours.length} | ${kept(ours)} | ${other.length} | ${kept(other)} | ${largest} |`,
    );
  }
  await detector.close();
} finally {
  await rm(folder, { recursive: true });
}
