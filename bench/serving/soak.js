// Soak test with attacks: `nice node bench/serving/soak.js [--minutes 10] [--rest 60] [--only WORDS]` (after npm run build).
//
// A server with MEMORY_LIMIT_GB=3 and small models (texts, images, faces, and Moonshine tiny from ../shared) serves eight legitimate
// callers for some minutes while soak-attacks.js attacks it. Prints the outcomes of the legitimate calls, the latency of /livez and
// /readyz, the memory of server and workers before, peak, and after some seconds of rest, restarts and bugs in the log, and the outcomes of the
// attacks. Exits with 1 if a legitimate call failed without a stated reason, /livez took a second, memory stayed above 1.2 times its
// start, or a worker was lost.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { inRepository, quantile, readOptions } from '../support/measure.js';
import { memoryField } from '../support/memory.js';
import { FACES, IMAGE, SPEECH } from '../support/samples.js';
import { started, stop, withVolume, workersOf } from './setup.js';

const options = readOptions({
  minutes: 10,
  /** Seconds after the attacks, before the memory is read again. */
  rest: 60,
  /** A part of an attack's name, for it alone. */
  only: '',
});
const WARM_UP_MS = 40_000;
const MAX_LIVEZ_MS = 1000;
const MAX_GROWTH = 1.2;
/** Reasons after which a caller may retry. */
const REFUSED = new Set(['QUEUE_FULL', 'DEADLINE_EXCEEDED']);

const image = await readFile(IMAGE);
const faces = await readFile(FACES);
const sound = await readFile(SPEECH);
const program = (name, ...args) => {
  const child = spawn(process.execPath, [inRepository(`bench/serving/${name}`), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  // The attackers share the processors: what is measured is the server, not the want of a second machine.
  if (args.length > 1) setPriority(child.pid, constants.priority.PRIORITY_LOW);
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve) => child.once('close', () => resolve(Buffer.concat(chunks).toString())));
  return { child, ended };
};
const health = async (address) => (await fetch(`http://${address}/health`)).json();

/** Memory (PSS) of the serving process and each worker, MiB. Linux only. */
function memoryByProcess(server) {
  const processes = [{ model: 'server', pid: server.child.pid }, ...workersOf(server)];
  return processes.map(({ model, pid }) => `${model} ${Math.round(memoryField(pid, 'Pss'))}`);
}

const CALLS = [
  (client) => client.embedText(['a text of an honest caller']),
  (client) => client.embedImage([image]),
  (client) => client.detectFaces([faces]),
  (client) => client.transcribe(sound),
];

/** Makes calls sequentially until `over`, and counts their outcomes. */
async function honest(address, index, over, ends) {
  const client = createInferenceClient({ address });
  try {
    while (!over()) {
      try {
        await CALLS[index % CALLS.length](client);
        ends.set('served', (ends.get('served') ?? 0) + 1);
      } catch (error) {
        const how = `${error.code ?? error.name} ${error.reason ?? ''}: ${REFUSED.has(error.reason) ? '' : error.message}`;
        ends.set(how, (ends.get(how) ?? 0) + 1);
      }
      await sleep(100);
    }
  } finally {
    client.close();
  }
}

await withVolume(async (fill) => {
  const settings = await fill({
    ASR_MODEL: 'onnx-community/moonshine-tiny-ONNX',
    VISION_MODEL_NAME: 'heimdex/siglip-pocket',
    FEATURE_FACE: 'true',
    FACE_MODEL_NAME: 'heimdex/face-pocket',
  });
  const server = await started({ ...settings, MEMORY_LIMIT_GB: '3', MAX_QUEUE_SECONDS: '5' });
  const { address } = server;
  const legitimate = (over, ends) =>
    Promise.all(Array.from({ length: 8 }, (_, index) => honest(address, index, over, ends)));
  try {
    const warmUntil = performance.now() + WARM_UP_MS;
    // As many callers as later: a worker that no call reached yet would be smaller than at its start of service.
    await legitimate(() => performance.now() > warmUntil, new Map());
    const before = await health(address);
    const processesBefore = memoryByProcess(server);
    let maxGb = before.memory_used_gb;
    let lagSeconds = 0;
    const looking = setInterval(() => {
      fetch(`http://${address}/metrics`)
        .then((response) => response.text())
        .then((text) => {
          lagSeconds = Math.max(
            lagSeconds,
            Number(/^nodejs_eventloop_lag_max_seconds ([\d.e+-]+)$/m.exec(text)?.[1] ?? 0),
          );
        })
        .catch(() => {});
      health(address).then(
        ({ memory_used_gb: gb }) => (maxGb = Math.max(maxGb, gb)),
        () => {},
      );
    }, 2000);
    const until = performance.now() + options.minutes * 60_000;
    const probe = program('soak-probe.js', address);
    const attacks = program('soak-attacks.js', address, String(options.minutes * 60), options.only);
    const ends = new Map();
    await legitimate(() => performance.now() > until, ends);
    const attacked = JSON.parse(await attacks.ended);
    probe.child.kill('SIGTERM');
    const { times, connected, wrong, heldUpMs } = JSON.parse(await probe.ended);
    clearInterval(looking);
    await sleep(options.rest * 1000);
    const after = await health(address);
    const processesAfter = memoryByProcess(server);
    const growth = after.memory_used_gb / before.memory_used_gb;
    const lost = server.log.filter(({ msg }) => /lost|defect|ended and started again/.test(msg));
    const unstated = [...ends].filter(([how]) => how !== 'served' && !REFUSED.has(how.split(/[ :]/)[1]));
    const livezMs = Math.max(...times['/livez']);
    console.log(`\n| | |\n|---|---|`);
    console.log(`| legitimate calls | ${[...ends].map(([how, count]) => `${count} ${how}`).join('; ')} |`);
    for (const [path, all] of Object.entries(times)) {
      const maxMs = Math.max(...all).toFixed(0);
      console.log(
        `| ${path}, ${all.length} times: p50, p99, max | ${quantile(all, 0.5).toFixed(0)}, ${quantile(all, 0.99).toFixed(0)}, ${maxMs} ms |`,
      );
    }
    const answeredMs = `${quantile(connected, 0.99).toFixed(0)}, ${Math.max(...connected).toFixed(0)} ms`;
    console.log(`| the same from the connection on: p99, max | ${answeredMs} |`);
    console.log(`| event loop delay of the server, max | ${(lagSeconds * 1000).toFixed(0)} ms |`);
    console.log(`| event loop delay of the probe, max | ${heldUpMs.toFixed(0)} ms |`);
    console.log(
      `| probes without status 200 | ${wrong.length === 0 ? 'none' : wrong.slice(0, 5).join(', ')} (${wrong.length}) |`,
    );
    console.log(
      `| memory before, peak, after, GB | ${before.memory_used_gb}, ${maxGb}, ${after.memory_used_gb} (${growth.toFixed(2)}) |`,
    );
    console.log(`| the same by process before, MiB | ${processesBefore.join(', ')} |`);
    console.log(`| after | ${processesAfter.join(', ')} |`);
    console.log(
      `| lost workers and bugs in the log | ${lost.length === 0 ? 'none' : lost.map(({ msg }) => msg).join('; ')} |`,
    );
    console.log(`| health after | ${after.status} |`);
    for (const [kind, how] of Object.entries(attacked)) {
      console.log(
        `| ${kind} | ${Object.entries(how)
          .map(([what, count]) => `${count} ${what}`)
          .join('; ')} |`,
      );
    }
    const failed = [
      unstated.length > 0 &&
        `legitimate calls failed without a stated reason: ${unstated.map(([how]) => how).join('; ')}`,
      livezMs >= MAX_LIVEZ_MS && `/livez took ${livezMs.toFixed(0)} ms`,
      growth > MAX_GROWTH && `memory grew by ${growth.toFixed(2)}`,
      lost.length > 0 && 'a worker was lost or the log has a bug',
      after.status !== 'healthy' && `the health is ${after.status}`,
    ].filter(Boolean);
    console.log(failed.length === 0 ? '\nPassed.' : `\nFailed: ${failed.join(', ')}.`);
    process.exitCode = failed.length === 0 ? 0 : 1;
  } finally {
    await stop(server);
  }
});
