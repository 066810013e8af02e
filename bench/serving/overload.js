// Sends four times the capacity at a constant rate: `source .ci/peers && node bench/serving/overload.js [--speech]` (after npm run build).
//
// ghz (Go) calls EmbedImage of the small model, or, with --speech, Transcribe of Moonshine tiny. First, closed-loop callers measure the
// capacity; then ghz sends --ratio times that rate, open-loop. Prints served and refused calls, their latency measured by ghz and by the
// server, memory before, peak and after, and the health afterwards.
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInferenceClient } from '@heimdex/client';
import { temporaryDir } from '../support/dir.js';
import { quantile, readOptions } from '../support/measure.js';
import { cpuSeconds } from '../support/memory.js';
import { IMAGE, SPEECH } from '../support/samples.js';
import { onCores, started, stop, withVolume, workersOf } from './setup.js';

const options = readOptions({
  speech: false,
  seconds: 60,
  ratio: 4,
  /** The server's MAX_QUEUE_SECONDS. */
  'queue-seconds': 1,
  /** Images per call. */
  images: 8,
  /** Closed-loop callers, while the capacity is measured. */
  callers: 16,
  /** CPUs for each, so that the load generator does not affect the server: "0", "1". */
  'server-cores': undefined,
  'ghz-cores': undefined,
});
const CAPACITY_SECONDS = 10;

const dir = temporaryDir();
const image = await readFile(IMAGE);
const data = join(dir, 'request.json');
const sound = await readFile(SPEECH);
const CASES = {
  images: {
    settings: { VISION_MODEL_NAME: 'heimdex/siglip-pocket' },
    method: 'EmbedImage',
    request: { images: Array.from({ length: options.images }, () => ({ content: image.toString('base64') })) },
    call: (client) => client.embedImage([image]),
  },
  speech: {
    settings: { ASR_MODEL: 'onnx-community/moonshine-tiny-ONNX' },
    method: 'Transcribe',
    request: { audio: { content: sound.toString('base64') } },
    call: (client) => client.transcribe(sound),
  },
};
const chosen = CASES[options.speech ? 'speech' : 'images'];
await writeFile(data, JSON.stringify(chosen.request));

/** Runs ghz and returns its report. */
function ghz(address, args) {
  const common = [
    '--insecure',
    '--call',
    `heimdex.inference.v1.InferenceService/${chosen.method}`,
    '--data-file',
    data,
    '--disable-template-functions',
    '--disable-template-data',
    '--format',
    'json',
  ];
  const child = spawn(...onCores(options['ghz-cores'], 'ghz', [...common, ...args, address]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks = [];
  let used = 0;
  const looking = setInterval(() => (used = Math.max(used, cpuSeconds(child.pid))), 250);
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', () => reject(new Error('ghz is not installed: source .ci/peers')));
    child.once('close', (code) => {
      clearInterval(looking);
      if (code === 0) resolve({ ...JSON.parse(Buffer.concat(chunks).toString()), cpuSeconds: used });
      else reject(new Error(`ghz ended with ${code}`));
    });
  });
}

const health = async (address) => (await fetch(`http://${address}/health`)).json();

const shown = (values, unit = 'ms') =>
  values.length === 0
    ? 'none'
    : `p50 ${quantile(values, 0.5).toFixed(1)}, p99 ${quantile(values, 0.99).toFixed(1)}, most ${Math.max(...values).toFixed(1)} ${unit}`;

await withVolume(async (fill) => {
  const settings = await fill(chosen.settings);
  const server = await started(
    { ...settings, MAX_QUEUE_SECONDS: String(options['queue-seconds']) },
    options['server-cores'],
  );
  const client = createInferenceClient({ address: server.address });
  try {
    // Long enough for further workers to start, and for a stable rate.
    const until = performance.now() + 5000;
    while (performance.now() < until) await Promise.all(Array.from({ length: 4 }, () => chosen.call(client)));
    const before = await health(server.address);
    const calm = await ghz(server.address, [
      '--concurrency',
      String(options.callers),
      '--connections',
      '4',
      '--duration',
      `${CAPACITY_SECONDS}s`,
      '--duration-stop',
      'wait',
    ]);
    const okOf = (report) => report.details.filter(({ status }) => status === 'OK');
    const capacity = okOf(calm).length / (calm.total / 1e9);
    const rate = Math.max(1, Math.round(capacity * options.ratio));
    const sizes = [];
    const looking = setInterval(
      () => void health(server.address).then((seen) => sizes.push(seen.memory_used_gb)),
      2000,
    );
    const logged = server.log.length;
    const processes = [server.child, ...workersOf(server)];
    const cpu = () => processes.map(({ pid }) => cpuSeconds(pid));
    const cpuBefore = cpu();
    const run = await ghz(server.address, [
      '--async',
      '--rps',
      String(rate),
      '--concurrency',
      '64',
      '--connections',
      '8',
      '--duration',
      `${options.seconds}s`,
      '--duration-stop',
      'wait',
    ]);
    clearInterval(looking);
    const [serving, ...working] = cpu().map((used, index) => used - cpuBefore[index]);
    const served = okOf(run);
    const refused = run.details.filter(({ status }) => status === 'ResourceExhausted');
    const others = run.details.length - served.length - refused.length;
    const ms = (details) => details.map(({ latency }) => latency / 1e6);
    const own = (code) =>
      server.log
        .slice(logged)
        .filter((line) => line.msg === 'call' && line.code === code)
        .map((line) => line.ms);
    const seconds = run.total / 1e9;
    const report = [
      [`capacity, ${options.callers} callers that wait`, `${capacity.toFixed(1)} calls/s, ${shown(ms(okOf(calm)))}`],
      ['sent', `${rate} per second requested, ${(run.count / seconds).toFixed(1)} sent, for ${seconds.toFixed(1)} s`],
      [
        'served',
        `${(served.length / seconds).toFixed(1)} calls/s, ${(served.length / seconds / capacity).toFixed(2)} of capacity`,
      ],
      ['time of the served, ghz', shown(ms(served))],
      ['time of the served, server', shown(own('OK'))],
      ['refused', `${(refused.length / seconds).toFixed(1)} calls/s; other errors: ${others}`],
      ['time of the refused, ghz', shown(ms(refused))],
      ['time of the refused, server', shown(own('RESOURCE_EXHAUSTED'))],
      [
        'memory before; peak; after, GB',
        `${before.memory_used_gb}; ${Math.max(...sizes)}; ${(await health(server.address)).memory_used_gb}`,
      ],
      [
        'CPU of the server',
        `${(serving / seconds).toFixed(2)} cores, ${((serving / run.count) * 1000).toFixed(2)} ms per call; of its workers ${(
          working.reduce((sum, used) => sum + used, 0) / seconds
        ).toFixed(2)} cores; of ghz ${(run.cpuSeconds / seconds).toFixed(2)} cores`,
      ],
      ['health after', (await health(server.address)).status],
    ];
    console.log(
      `Queue limit ${options['queue-seconds']} s, ${chosen.method}${options.speech ? '' : `, ${options.images} images per call`}.\n\n| | |\n|---|---|\n${report.map(([name, value]) => `| ${name} | ${value} |`).join('\n')}`,
    );
  } finally {
    client.close();
    await stop(server);
  }
});
