// Compares numbers of workers and threads: `node bench/serving/workers.js [--only WORDS]` (after npm run build).
//
// Each model is served with one worker that uses all cores, with one single-threaded worker per core, and with one worker per core that
// uses all cores. Prints the latency of a single caller and the calls per second of many callers. Settings alternate, and the medians of
// the rounds are printed, in case the machine is busy.
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { createInferenceClient } from '@heimdex/client';
import { median, readOptions, timed } from '../support/measure.js';
import { FACES, IMAGE, SPEECH } from '../support/samples.js';
import { started, stop, withVolume } from './setup.js';

const { rounds: ROUNDS, seconds: SECONDS, only } = readOptions({ rounds: 3, seconds: 4, only: '' });
const cores = availableParallelism();
const SETTINGS = [
  ['one worker, all threads', 1, cores],
  ['a worker a core, one thread', cores, 1],
  ['a worker a core, all threads', cores, cores],
];

const audio = await readFile(SPEECH);
const image = await readFile(IMAGE);
const faces = await readFile(FACES);
const TEXT = 'an image of a river and a stone bridge in the morning light, seen from the other side';

const CASES = [
  [
    'speech',
    'Whisper base, int8',
    { ASR_MODEL: 'onnx-community/whisper-base_timestamped' },
    (client) => client.transcribe(audio),
  ],
  [
    'speech',
    'Moonshine tiny, int8',
    { ASR_MODEL: 'onnx-community/moonshine-tiny-ONNX' },
    (client) => client.transcribe(audio),
  ],
  [
    'vision',
    'siglip-pocket, an image',
    { VISION_MODEL_NAME: 'heimdex/siglip-pocket' },
    (client) => client.embedImage([image]),
  ],
  [
    'vision',
    'siglip-pocket, a text',
    { VISION_MODEL_NAME: 'heimdex/siglip-pocket' },
    (client) => client.embedText([TEXT], { model: 'vision' }),
  ],
  [
    'text',
    'MiniLM, int8',
    { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: 'Xenova/all-MiniLM-L6-v2' },
    (client) => client.embedText([TEXT], { model: 'text' }),
  ],
  ['faces', 'YuNet', { FEATURE_FACE: 'true' }, (client) => client.detectFaces([faces])],
];

async function measure(settings, role, workers, threads, call) {
  const server = await started({
    ...settings,
    [`WORKERS_${role.toUpperCase()}`]: String(workers),
    WORKER_THREADS: String(threads),
  });
  const client = createInferenceClient({ address: server.address });
  try {
    await Promise.all(Array.from({ length: 2 * cores }, () => call(client)));
    const times = [];
    for (const until = performance.now() + SECONDS * 500; performance.now() < until; )
      times.push(await timed(() => call(client)));
    let done = 0;
    const until = performance.now() + SECONDS * 1000;
    const caller = async () => {
      while (performance.now() < until) {
        await call(client);
        done += 1;
      }
    };
    const ms = await timed(() => Promise.all(Array.from({ length: 4 * cores }, caller)));
    return { lone: median(times), perSecond: (done / ms) * 1000 };
  } finally {
    client.close();
    await stop(server);
  }
}

console.log(
  `| model, on ${cores} cores | setting | single caller, ms | calls/s, ${4 * cores} callers |\n|---|---|---|---|`,
);
await withVolume(async (fill) => {
  for (const [role, name, chosen, call] of CASES) {
    if (!name.includes(only)) continue;
    const settings = await fill(chosen);
    if (settings === undefined) {
      console.log(`| ${name} | missing | | |`);
      continue;
    }
    const rounds = SETTINGS.map(() => []);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [index, [, workers, threads]] of SETTINGS.entries()) {
        rounds[index].push(await measure(settings, role, workers, threads, call));
      }
    }
    for (const [index, [setting]] of SETTINGS.entries()) {
      const middle = (field) => median(rounds[index].map((figures) => figures[field]));
      console.log(`| ${name} | ${setting} | ${middle('lone').toFixed(1)} | ${middle('perSecond').toFixed(2)} |`);
    }
  }
});
