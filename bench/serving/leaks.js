// Looks for leaks: `node bench/serving/leaks.js [--calls 10000] [--rounds 5]` (after npm run build).
//
// In rounds, a server with the small models gets that many calls (texts, images and faces from 16 callers, each with its own id), of
// which every tenth is invalid, and a tenth as many that their callers cancel. After each round it prints open file descriptors and active handles
// of the serving process, its memory and that of its workers, and queued items.
import { readdir, readFile } from 'node:fs/promises';
import { createInferenceClient } from '@heimdex/client';
import { byCallers } from '../peers/callers.js';
import { readOptions } from '../support/measure.js';
import { memoryField } from '../support/memory.js';
import { FACES, IMAGE } from '../support/samples.js';
import { started, stop, withVolume, workersOf } from './setup.js';

const { calls: CALLS, rounds: ROUNDS } = readOptions({ calls: 10_000 });
const CANCELLED = CALLS / 10;
const CALLERS = 16;

const image = await readFile(IMAGE);
const faces = await readFile(FACES);

async function inspect(server) {
  const { pid } = server.child;
  const metrics = await (await fetch(`http://${server.address}/metrics`)).text();
  const metric = (name) => metrics.match(new RegExp(`^${name}(?:{[^}]*})? ([0-9.e+]+)$`, 'm'))?.[1] ?? '-';
  const processes = [server.child, ...workersOf(server)];
  const [serving, ...working] = processes.map((one) => Math.round(memoryField(one.pid, 'Pss_Anon')));
  return [
    (await readdir(`/proc/${pid}/fd`)).length,
    metric('nodejs_active_handles_total'),
    metric('heimdex_requests_in_progress'),
    metric('heimdex_queue_items'),
    serving,
    working.join(' + '),
  ];
}

function callOf(client, index) {
  if (index % 10 === 9) return client.embedText([]).catch(() => {});
  if (index % 20 === 4) return client.embedImage([image]);
  if (index % 20 === 14) return client.detectFaces([faces]);
  return client.embedText([`text number ${index}`]);
}

async function round(client, calls, cancelled) {
  await byCallers(CALLERS, [...Array(calls).keys()], (index) => callOf(client, index));
  for (let given = 0; given < cancelled; given += 50) {
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), index % 10);
        return client
          .embedText(Array(20).fill('a longer text to be given up'), { signal: controller.signal })
          .catch(() => {});
      }),
    );
  }
}

await withVolume(async (fill) => {
  const settings = await fill({
    VISION_MODEL_NAME: 'heimdex/siglip-pocket',
    FEATURE_FACE: 'true',
    FACE_MODEL_NAME: 'heimdex/face-pocket',
  });
  const server = await started(settings);
  const client = createInferenceClient({ address: server.address });
  try {
    await round(client, CALLS / ROUNDS, CANCELLED / ROUNDS);
    console.log(
      '| calls | descriptors | handles | in progress | waiting | memory of the server, MiB | of its workers |\n|---|---|---|---|---|---|---|',
    );
    for (let count = 0; count <= ROUNDS; count += 1) {
      if (count > 0) await round(client, CALLS / ROUNDS, CANCELLED / ROUNDS);
      await new Promise((resolve) => setTimeout(resolve, 1000));
      console.log(`| ${(count * CALLS) / ROUNDS} | ${(await inspect(server)).join(' | ')} |`);
    }
  } finally {
    client.close();
    await stop(server);
  }
});
