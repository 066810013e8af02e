// Measures time and memory by batch size: `node bench/serving/batches.js [--threads 1]` (after npm run build).
//
// Each model of the project and of ../shared runs batches of 1, 2, 4 ... items in this process, alternating; the minimum of the rounds
// counts. Prints CPU and wall milliseconds per item, and the memory growth of the process. Basis of models/batch-specs.ts.
import { readFileSync } from 'node:fs';
import { load as loadSentence } from '../../inference/dist/src/models/sentence/model.js';
import { load as loadSiglip } from '../../inference/dist/src/models/siglip/model.js';
import { load as loadWhisper } from '../../inference/dist/src/models/whisper/model.js';
import { load as loadYunet } from '../../inference/dist/src/models/yunet/model.js';
import { parseSpeechOptions } from '../../inference/dist/src/services/speech-options.js';
import { threeMinutes } from '../speech/audio-files.js';
import { WEIGHTS, whisperDir } from '../speech/transcribe.js';
import { CONTEXT, inRepository, modelFiles, OPTIONS, readOptions } from '../support/measure.js';
import { DRAWINGS, imagesIn, SIGLIP_POCKET, yunetFiles } from '../support/samples.js';

const { threads, rounds, shared, only, sizes } = readOptions({
  threads: 1,
  rounds: 3,
  /** A part of the names of cases. */
  only: '',
  /** Items per run, such as 1,4; by default all of a case. */
  sizes: undefined,
});
const options = { ...OPTIONS, threads };
const WORDS = 'the a of video search image speech word model once offline cache byte proof river stone light'.split(
  ' ',
);
const textOf = (words) => (_, index) => ({
  type: 'text',
  text: Array.from({ length: words }, (_, position) => WORDS[(index * 7 + position * 13) % WORDS.length]).join(' '),
  normalize: true,
  truncate: true,
});
const contentsIn = (dir) => imagesIn(dir).map((path) => readFileSync(path));
const images = contentsIn(DRAWINGS);
const faces = contentsIn(inRepository('demo/samples/faces'));

async function windows() {
  const samples = await threeMinutes(shared);
  return (_, index) => ({
    type: 'decode',
    samples: samples.slice((index % 4) * 28 * 16_000, ((index % 4) + 1) * 28 * 16_000),
    language: 'en',
    options: { ...parseSpeechOptions(undefined), temperatures: [0] },
    promptTokens: [],
    promptText: undefined,
    speechEnd: undefined,
    seed: 0,
  });
}

const CASES = [
  [
    'siglip-pocket, images',
    [1, 2, 4, 8, 16, 32],
    () => loadSiglip(modelFiles('siglip-pocket', SIGLIP_POCKET, { vision: 'onnx/vision_model.onnx' }), options),
    async () => (_, index) => ({ type: 'image', content: images[index % images.length], normalize: true }),
  ],
  [
    'siglip-pocket, texts',
    [1, 2, 4, 8, 16, 32],
    () => loadSiglip(modelFiles('siglip-pocket', SIGLIP_POCKET, { text: 'onnx/text_model.onnx' }), options),
    async () => textOf(12),
  ],
  [
    'bge-m3-tiny, texts of 40 words',
    [1, 2, 4, 8, 16, 32, 64],
    () =>
      loadSentence(
        modelFiles('bge-m3-tiny', `${shared}/models/fixtures/bge-m3-tiny`, {
          model: 'onnx/sentence_transformers.onnx',
        }),
        options,
      ),
    async () => textOf(40),
  ],
  [
    'YuNet, images',
    [1, 2, 4, 8, 16],
    () => loadYunet(yunetFiles(shared), options),
    async () => (_, index) => ({
      content: faces[index % faces.length],
      scoreThreshold: 0.6,
      nmsThreshold: 0.3,
      maxFaces: 10,
    }),
  ],
  [
    'Whisper base int8, windows of 28 s',
    [1, 2, 4, 8],
    () => loadWhisper(modelFiles('whisper', whisperDir(shared), WEIGHTS), options),
    windows,
  ],
];

console.log(`| model, ${threads} threads | items per run | CPU ms per item | wall ms per item | growth, MB |`);
console.log('|---|---|---|---|---|');
const chosen = sizes?.split(',').map(Number);
for (const [name, all, open, itemOf] of CASES) {
  if (!name.includes(only)) continue;
  const model = await open();
  const make = await itemOf();
  const counts = all.filter((count) => chosen?.includes(count) ?? true);
  const batches = counts.map((size) => Array.from({ length: size }, make));
  await model.run([make(undefined, 0)], CONTEXT);
  const startBytes = process.memoryUsage.rss();
  const least = counts.map(() => ({ cpu: Number.POSITIVE_INFINITY, wall: Number.POSITIVE_INFINITY, bytes: 0 }));
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, batch] of batches.entries()) {
      const cpu = process.cpuUsage();
      const startedAt = performance.now();
      const outcomes = await model.run(batch, CONTEXT);
      const used = process.cpuUsage(cpu);
      if (outcomes.some(({ ok }) => !ok)) throw new Error(`${name} failed`);
      const figures = least[index];
      figures.wall = Math.min(figures.wall, (performance.now() - startedAt) / batch.length);
      figures.cpu = Math.min(figures.cpu, (used.user + used.system) / 1000 / batch.length);
      figures.bytes = Math.max(figures.bytes, process.memoryUsage.rss() - startBytes);
    }
  }
  for (const [index, size] of counts.entries()) {
    const { cpu, wall, bytes } = least[index];
    console.log(`| ${name} | ${size} | ${cpu.toFixed(2)} | ${wall.toFixed(2)} | ${(bytes / 2 ** 20).toFixed(0)} |`);
  }
  await model.close();
}
