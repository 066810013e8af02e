/**
 * Starts the server on the CPU and on an NVIDIA GPU in turn and compares their answers and their times. See README.md.
 * Usage: node bench/gpu/run.js --models small|speech|default --volume DIR [--shared ../shared] [--only NAME,NAME] [--rows NAME,NAME] [--seconds 3]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { started, stop } from '../serving/setup.js';
import { cosine, inRepository, median, readOptions } from '../support/measure.js';
import { memoryMib } from '../support/memory.js';
import { gpuMib, sampleImages } from './support.js';

const { models, volume, only, rows, seconds, out } = readOptions({
  models: 'small',
  volume: undefined,
  only: undefined,
  rows: undefined,
  seconds: 3,
  out: undefined,
});
const CALLERS = 16;
const SET = {
  small: { speech: 'base', vision: 'pocket/siglip', text: 'sentence-transformers/all-MiniLM-L6-v2' },
  speech: { speech: 'base' },
  default: { speech: 'medium', vision: 'google/siglip-so400m-patch14-384', text: 'BAAI/bge-m3' },
}[models];
/** Whether the weights are trained ones: their words can be compared, and their windows end. */
const TRAINED = models !== 'default';

/** The configurations that are compared: name, device, precision, other variables. */
const CONFIGURATIONS = [
  { name: 'cpu-fp32', device: 'cpu', precision: 'fp32' },
  { name: 'cpu-fp16', device: 'cpu', precision: 'fp16', answersOnly: true },
  { name: 'cpu-int8', device: 'cpu', precision: 'int8' },
  { name: 'gpu-fp16', device: 'cuda', precision: 'fp16' },
  { name: 'gpu-fp32', device: 'cuda', precision: 'fp32' },
  {
    name: 'gpu-fp16-workers',
    device: 'cuda',
    precision: 'fp16',
    env: { WORKERS_VISION: '4', WORKERS_TEXT: '2', WORKERS_SPEECH: '2' },
  },
];

const speechDir = inRepository('demo/samples/speech');
const said = JSON.parse(readFileSync(join(speechDir, 'said.json'), 'utf8'));
const clips = Object.keys(said).map((name) => ({ name, bytes: readFileSync(join(speechDir, name)) }));
const images = sampleImages();
const faces = [1, 2, 3, 4].map((n) => readFileSync(inRepository(`demo/samples/faces/faces_${n}.png`)));
const SHORT = 'a dog in the snow';
const TEXTS = [
  SHORT,
  'an elephant',
  '',
  'Every model is downloaded once, checked, and then served without the network.',
  'word '.repeat(60),
  'The old man and the sea, a story of a fisherman. '.repeat(12),
];
const LONG = 'The old man and the sea, a story of a fisherman. '.repeat(20);
const FIXED = {
  language: 'en',
  timestamps: 'none',
  temperatures: [0],
  compressionRatioThreshold: 1000,
  logProbThreshold: -1000,
};

function start({ device, precision, env = {} }) {
  return started({
    MODELS_DIR: volume,
    ASR_MODEL: `${SET.speech}:${precision}`,
    ...(SET.vision === undefined
      ? { VISION_MODEL_NAME: 'none' }
      : {
          VISION_MODEL_NAME: `${SET.vision}:${precision}`,
          TEXT_MODEL_NAME: `${SET.text}:${precision}`,
          LOAD_BGE_M3: 'true',
          FEATURE_FACE: 'true',
        }),
    DEVICE: device,
    VERIFY_MODELS: 'quick',
    ...env,
  });
}

/** Writes the log of a server to the directory of --out. */
function keepLog(name, { log }) {
  if (out === undefined) return;
  writeFileSync(join(out, `${models}-${name}.log`), log.map((line) => JSON.stringify(line)).join('\n'));
}

/** The last log lines, for the reason of a failure. */
const lastOf = ({ log }) => JSON.stringify(log.slice(-4)).slice(-1500);

async function latencyMs(call, turns = 20, budgetMs = 6000) {
  await call();
  const times = [];
  const until = performance.now() + budgetMs;
  for (let turn = 0; turn < turns && (turn < 3 || performance.now() < until); turn++) {
    const startedAt = performance.now();
    await call();
    times.push(performance.now() - startedAt);
  }
  return median(times);
}

async function perSecond(call, items, callers = CALLERS) {
  const startedAt = performance.now();
  const until = startedAt + seconds * 1000;
  let done = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (performance.now() < until) {
        await call();
        done += items;
      }
    }),
  );
  return (done * 1000) / (performance.now() - startedAt);
}

const vectorOf = ({ results }) => results.map((result) => (result.ok ? [...result.value.vector] : undefined));

/** Vectors and faces; nothing of a set without such models. */
async function vectorsOf(client) {
  if (SET.vision === undefined) return {};
  return {
    images: vectorOf(await client.embedImage(images)),
    texts: vectorOf(await client.embedText(TEXTS.filter((text) => text !== ''))),
    sentences: vectorOf(await client.embedText(TEXTS, { model: 'text' })),
    long: vectorOf(await client.embedText([LONG], { model: 'text' })),
    faces: (await client.detectFaces(faces, { scoreThreshold: 0.6 })).results.map((result) =>
      result.ok ? result.value.faces : undefined,
    ),
  };
}

async function answersOf(client) {
  const answers = await vectorsOf(client);
  if (TRAINED) {
    answers.words = {};
    for (const { name, bytes } of clips) {
      const { text, segments } = await client.transcribe(bytes, {
        language: 'en',
        timestamps: 'word',
        temperatures: [0],
      });
      answers.words[name] = {
        text: text.trim(),
        times: segments.flatMap(({ words = [] }) => words.map(({ startSeconds }) => startSeconds)),
      };
    }
  }
  return answers;
}

async function timesOf(client) {
  const [image] = images;
  const table = {};
  const row = async (name, call, items = 1, turns = 20) => {
    if (SET.vision === undefined || (rows !== undefined && !rows.split(',').includes(name))) return;
    table[name] = await latencyMs(call, turns);
    table[`${name}, ${CALLERS} callers, /s`] = await perSecond(call, items);
  };
  await row('text', () => client.embedText([SHORT]));
  await row('image', () => client.embedImage([image]));
  await row('16 images', () => client.embedImage(Array.from({ length: 16 }, (_, i) => images[i])), 16, 5);
  await row('sentence', () => client.embedText([SHORT], { model: 'text' }));
  await row('sentence of 500 tokens', () => client.embedText([LONG], { model: 'text' }));
  await row('faces', () => client.detectFaces([faces[0]], { scoreThreshold: 0.6 }));
  const speech = TRAINED
    ? () => client.transcribe(clips[0].bytes, { language: 'en', temperatures: [0] })
    : () => client.transcribe(clips[0].bytes, FIXED);
  const startedAt = performance.now();
  const { segments } = await speech();
  table['speech, first'] = performance.now() - startedAt;
  table['speech tokens'] = segments.reduce((sum, { tokens }) => sum + tokens.length, 0);
  table.speech = await latencyMs(speech, TRAINED ? 10 : 2);
  if (TRAINED) table[`speech, ${CALLERS} callers, /s`] = await perSecond(speech, 1);
  return table;
}

/** The least cosine of vectors of a call of several items to those of the same items alone. */
async function batchEffect(client, answers) {
  const [image] = vectorOf(await client.embedImage([images[0]]));
  const [sentence] = vectorOf(await client.embedText([SHORT], { model: 'text' }));
  return Math.min(cosine(image, answers.images[0]), cosine(sentence, answers.sentences[0]));
}

function compare(name, answers, against, reference) {
  const least = (key) =>
    Math.min(
      ...answers[key].map((vector, i) => (vector === undefined ? Number.NaN : cosine(vector, reference[key][i]))),
    );
  const line = Object.keys(answers)
    .filter((key) => ['images', 'texts', 'sentences', 'long'].includes(key))
    .map((key) => `${key} ${least(key).toFixed(6)}`);
  const boxes = (answers.faces ?? []).map((found, i) => {
    const other = reference.faces[i] ?? [];
    const off = Math.max(0, ...(found ?? []).map((face, j) => Math.abs((face.score ?? 0) - (other[j]?.score ?? 0))));
    return `${found?.length}=${other.length}(${off.toFixed(4)})`;
  });
  if (boxes.length > 0) line.push(`faces ${boxes.join(' ')}`);
  for (const [file, { text, times }] of Object.entries(answers.words ?? {})) {
    const other = reference.words[file];
    const off =
      times.length === other.times.length
        ? Math.max(...times.map((time, i) => Math.abs(time - other.times[i]))).toFixed(2)
        : 'other count';
    line.push(
      `${file} ${text === other.text ? 'same words' : `"${text}" instead of "${other.text}"`}, times off ${off}`,
    );
  }
  console.log(`${name} beside ${against}: ${line.join('; ')}`);
}

const results = {};
for (const configuration of CONFIGURATIONS) {
  const { name } = configuration;
  if (only !== undefined && !only.split(',').includes(name)) continue;
  const before = gpuMib();
  const startedAt = performance.now();
  const server = await start(configuration).catch((error) => error);
  const ready = (performance.now() - startedAt) / 1000;
  const { child, address } = server;
  if (address === undefined) {
    console.log(`${name}: ${server.message}: ${lastOf(server)}`);
    keepLog(name, server);
    continue;
  }
  const health = await (await fetch(`http://${address}/health`)).json();
  const client = createInferenceClient({ address });
  const result = {
    ready,
    device: health.device,
    gpuMib: gpuMib() - before,
    hostMib: memoryMib(child.pid),
  };
  results[name] = result;
  console.log(
    `${name}: ready in ${ready.toFixed(1)} s on ${health.device}, ${result.gpuMib} MiB of the GPU, ${result.hostMib.toFixed(0)} MiB of host memory`,
  );
  try {
    result.answers = await answersOf(client);
    for (const other of ['cpu-fp32', 'cpu-fp16']) {
      if (other !== name && results[other]?.answers !== undefined)
        compare(name, result.answers, other, results[other].answers);
    }
    if (SET.vision !== undefined)
      console.log(`  in a call of several and alone: cosine ${(await batchEffect(client, result.answers)).toFixed(8)}`);
    if (configuration.answersOnly !== true) {
      result.times = await timesOf(client);
      for (const [key, value] of Object.entries(result.times)) console.log(`  ${key}: ${value.toFixed(2)}`);
    }
    console.log(`  after: ${gpuMib() - before} MiB of the GPU, ${memoryMib(child.pid).toFixed(0)} MiB of host memory`);
  } catch (error) {
    console.log(`${name} failed: ${error.message}; ${lastOf(server)}`);
  }
  client.close();
  await stop(server);
  keepLog(name, server);
  if (out !== undefined) {
    writeFileSync(
      join(out, `${models}.json`),
      JSON.stringify(results, (key, value) => (key === 'answers' ? undefined : value), 1),
    );
  }
  await sleep(300);
}
