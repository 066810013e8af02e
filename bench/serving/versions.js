// Compares two versions of the server: `node bench/serving/versions.js --base DIR [--rounds 10] [--calls 200] [--callers 1] [--texts 1]`
// (after npm run build in both). DIR is another checkout. Both servers stay loaded and are called in turns with short texts, MiniLM in
// 8 bits, by the client of this checkout. Prints the median time of a call, and the CPU time a call of the server, its workers and the caller.
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInferenceClient } from '@heimdex/client';
import { byCallers } from '../peers/callers.js';
import { inRepository, median, quantile, readOptions, timed } from '../support/measure.js';
import { TEXTS } from '../text/texts.js';
import { allWorkers, started, stop, withVolume, workersOf } from './setup.js';

const options = readOptions({
  base: undefined,
  rounds: 10,
  calls: 200,
  callers: 1,
  /** Texts of a call. */
  texts: 1,
});
const { calls, callers, texts: size } = options;
const SETTINGS = { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: 'Xenova/all-MiniLM-L6-v2' };
const short = TEXTS.filter((text) => text.split(' ').length <= 20).slice(0, 32);

/** CPU time of all threads of a process, ms. */
function cpuMs(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const ns = threads.map((thread) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
  );
  return ns.reduce((sum, one) => sum + one, 0) / 1e6;
}

function turn(client) {
  const items = Array.from({ length: calls }, (_, index) =>
    Array.from({ length: size }, (_, text) => short[(index * size + text) % short.length]),
  );
  return byCallers(callers, items, (texts) => timed(() => client.embedText(texts, { model: 'text' })));
}

async function open(name, program, settings) {
  const server = await started(settings, undefined, program);
  await allWorkers(server);
  const pids = [server.child, ...workersOf(server)].map(({ pid }) => pid);
  return { name, server, client: createInferenceClient({ address: server.address }), pids, rounds: [] };
}

async function measure({ client, pids, rounds }) {
  const read = () => [...pids, process.pid].map(cpuMs);
  const before = read();
  const startedAt = performance.now();
  const times = await turn(client);
  const ms = performance.now() - startedAt;
  const [server, ...others] = read().map((after, index) => (after - before[index]) / calls);
  const caller = others.pop();
  rounds.push({
    p50: quantile(times, 0.5),
    p90: quantile(times, 0.9),
    perSecond: (calls * size * 1000) / ms,
    server,
    workers: others.reduce((sum, one) => sum + one, 0),
    caller,
  });
}

await withVolume(async (fill) => {
  const settings = await fill(SETTINGS);
  const program = 'inference/bin/heimdex-inference.js';
  const versions = [
    await open('base', resolve(options.base ?? inRepository(''), program), settings),
    await open('this', inRepository(program), settings),
  ];
  for (const { client } of versions) await turn(client);
  for (let round = 0; round < options.rounds; round += 1) {
    for (const version of round % 2 === 0 ? versions : [...versions].reverse()) await measure(version);
  }
  console.log(
    '| version | p50, ms | p90, ms | texts/s | server, CPU ms a call | workers | caller |\n|---|---|---|---|---|---|---|',
  );
  for (const { name, rounds } of versions) {
    const middle = (field) => median(rounds.map((round) => round[field])).toFixed(2);
    const cells = ['p50', 'p90', 'perSecond', 'server', 'workers', 'caller'].map(middle);
    console.log(`| ${[name, ...cells].join(' | ')} |`);
  }
  for (const { client, server } of versions) {
    client.close();
    await stop(server);
  }
});
