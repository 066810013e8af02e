/**
 * Measures what a volume's models take in memory: starts the server, and reads the proportional set size (PSS) of every process of it
 * at rest, and its most while images, texts and 11 s of speech are worked on at once, private and mapped pages told apart.
 * Usage: MODELS_DIR=... [VARIABLE=...] node bench/default-stack/memory.js [--seconds 40] [--shared DIR]
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { started, stop } from '../serving/setup.js';
import { readOptions } from '../support/measure.js';
import { childrenOf, cpuSeconds, memoryField } from '../support/memory.js';

const { seconds, shared } = readOptions({ seconds: 40 });
const SAMPLE_MS = 250;

const startedAtMs = performance.now();
const since = () => ((performance.now() - startedAtMs) / 1000).toFixed(1);
const server = await started({});

const pids = () => [server.child.pid, ...childrenOf(server.child.pid)];

/** CPU seconds of every process of the server so far. On a busy machine they say more than the time that passed. */
const cpuByProcess = () => pids().map((pid) => `${pid} ${cpuSeconds(pid).toFixed(1)}`);

/** Name and MiB of every process of the server. */
function read() {
  return pids().map((pid) => {
    const of = (field) => memoryField(pid, field);
    return { pid, pss: of('Pss'), own: of('Pss_Anon'), mapped: of('Pss_File') };
  });
}

const total = (processes) => processes.reduce((sum, { pss }) => sum + pss, 0);

function print(title, processes) {
  console.log(`${title}: ${total(processes).toFixed(0)} MiB in all (load ${loadavg()[0]?.toFixed(1)})`);
  for (const { pid, pss, own, mapped } of processes)
    console.log(`  ${pid}: PSS ${pss.toFixed(0)}, own ${own.toFixed(0)}, mapped ${mapped.toFixed(0)}`);
}

try {
  console.log(
    `${since()} s to SERVING (load ${loadavg()[0]?.toFixed(1)}); CPU seconds by process: ${cpuByProcess().join(', ')}`,
  );
  await sleep(3000);
  print('At rest', read());
  const client = createInferenceClient({ address: server.address });
  const end = AbortSignal.timeout(seconds * 1000);
  const image = readFileSync(join(shared, 'samples/photos/astronaut.png'));
  const speech = readFileSync(join(shared, 'samples/speech/jfk.wav'));
  const answered = {};
  const failed = {};
  const again = async (name, call) => {
    while (!end.aborted) {
      try {
        await call();
        answered[name] = (answered[name] ?? 0) + 1;
      } catch (error) {
        if (end.aborted) return;
        failed[`${name}: ${error.message}`] = (failed[`${name}: ${error.message}`] ?? 0) + 1;
        await sleep(SAMPLE_MS);
      }
    }
  };
  const text = 'a photograph of a harbour in the evening, '.repeat(8);
  // Random weights pass no threshold: decoded once, at temperature 0.
  const once = { temperatures: [0], compressionRatioThreshold: 1000, logProbThreshold: -1000 };
  const work = [
    again('images', () => client.embedImage([image, image], { signal: end })),
    again('texts', () => client.embedText([text, text], { signal: end })),
    again('speech', () => client.transcribe(speech, { ...once, signal: end })),
    ...(process.env.LOAD_BGE_M3 === 'true'
      ? [again('sentences', () => client.embedText(Array(8).fill(text), { model: 'text', signal: end }))]
      : []),
    ...(process.env.FEATURE_FACE === 'true'
      ? [again('faces', () => client.detectFaces([image], { signal: end }))]
      : []),
  ];
  let most = read();
  while (!end.aborted) {
    await sleep(SAMPLE_MS);
    const now = read();
    if (total(now) > total(most)) most = now;
  }
  print('Most under load', most);
  await Promise.all(work);
  console.log(`Answered: ${JSON.stringify(answered)}; failed: ${JSON.stringify(failed)}`);
  client.close();
  await sleep(5000);
  print('At rest again', read());
} finally {
  await stop(server);
}
