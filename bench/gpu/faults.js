/**
 * What the server does when the GPU is not as it should be: DEVICE=auto, no cuDNN, GPU memory that is full at start or becomes full while
 * it serves, several workers. Prints a line per trial; see README.md.
 * Usage: node bench/gpu/faults.js --volume DIR --model NAME:fp16 --python PYTHON --without-cudnn LIBRARY_PATH
 * (PYTHON has PyTorch, which takes the memory; LIBRARY_PATH is LD_LIBRARY_PATH without the directory of cuDNN)
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInferenceClient } from '@heimdex/client';
import { started, stop } from '../serving/setup.js';
import { readOptions } from '../support/measure.js';
import { gpuMib, sampleImages } from './support.js';

const options = readOptions({
  volume: undefined,
  model: 'google/siglip-so400m-patch14-384:fp16',
  'without-cudnn': undefined,
});
/** Levels of log lines that are not printed. */
const CALM = ['trace', 'debug', 'info'];
const FILL = `
import sys, torch
free, _ = torch.cuda.mem_get_info()
held = torch.empty(int(free - float(sys.argv[1]) * 2**30), dtype=torch.uint8, device='cuda')
print('held', flush=True)
sys.stdin.read()
`;
const images = sampleImages();
const batch = Array.from({ length: 16 }, (_, index) => images[index % images.length]);

/** Takes all memory of the GPU but `leftGib`; the result gives it back. */
async function fillMemory(leftGib) {
  const child = spawn(options.python, ['-c', FILL, String(leftGib)], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
}

/** Starts a server, gives it to `work` once it is ready, and prints how it started or ended. */
async function trial(name, env, work = async () => {}) {
  const startedAt = performance.now();
  const settings = { MODELS_DIR: options.volume, ASR_MODEL: 'none', VISION_MODEL_NAME: options.model, ...env };
  const server = await started(settings).catch((error) => error);
  const { log, address } = server;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${name}: ${address === undefined ? server.message : 'ready'} after ${seconds} s`);
  if (address !== undefined) {
    const { device } = await (await fetch(`http://${address}/health`)).json();
    console.log(`  device ${device}, ${gpuMib()} MiB of the GPU in use`);
    const client = createInferenceClient({ address });
    try {
      await work(client);
    } finally {
      client.close();
      await stop(server);
    }
  }
  for (const { level, msg, reason, err } of log.filter(({ level }) => !CALM.includes(level)))
    console.log(`  ${level ?? ''} ${msg} ${reason ?? err?.message ?? ''}`.slice(0, 900));
}

async function embed(client, label) {
  const startedAt = performance.now();
  const said = await client.embedImage(batch).then(
    ({ results }) => `${results.filter(({ ok }) => ok).length} vectors`,
    ({ code, reason, message }) => `${code} ${reason ?? ''}: ${message}`.slice(0, 500),
  );
  console.log(`  ${label}: ${said} in ${(performance.now() - startedAt).toFixed(0)} ms, ${gpuMib()} MiB`);
}

async function rate(client) {
  const until = performance.now() + 3000;
  let done = 0;
  const callers = Array.from({ length: 16 }, async () => {
    for (; performance.now() < until; done += 1) await client.embedImage([images[0]]);
  });
  await Promise.all(callers);
  console.log(`  ${(done / 3).toFixed(0)} images/s for 16 callers, ${gpuMib()} MiB`);
}

await trial('DEVICE=auto', { DEVICE: 'auto' }, (client) => embed(client, '16 images'));
const noCudnn = { LD_LIBRARY_PATH: options['without-cudnn'] };
await trial('DEVICE=auto without cuDNN', { DEVICE: 'auto', ...noCudnn }, (client) => embed(client, '16 images'));
await trial('DEVICE=cuda without cuDNN', { DEVICE: 'cuda', ...noCudnn });
for (const leftGib of [0.4, 1.2]) {
  const giveBack = await fillMemory(leftGib);
  await trial(`GPU memory: ${leftGib} GiB free at start`, { DEVICE: 'cuda' }, (client) => embed(client, '16 images'));
  await giveBack();
}
await trial('GPU memory filled while serving', { DEVICE: 'cuda' }, async (client) => {
  const giveBack = await fillMemory(0.05);
  await embed(client, 'full');
  await embed(client, 'full, again');
  await giveBack();
  await embed(client, 'given back');
});
for (const WORKERS_VISION of ['1', '3'])
  await trial(`WORKERS_VISION=${WORKERS_VISION}`, { DEVICE: 'cuda', WORKERS_VISION }, rate);
