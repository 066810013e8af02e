// Measures batching and the queue under load, through the complete server: `node bench/serving/run.js` (after npm run build).
//
// Each text model of ../shared and of the project is served by a separate server from a new volume. Texts of 4 to 80 words come (a)
// sequentially from one caller, (b) from 64 concurrent callers. Prints texts per second of both, their ratio, the p50 of the single
// caller, and the minimum cosine between a text's vector alone and in a batch. Then, with a queue of 16 and callers that retry
// immediately: served and refused calls and their latency (`--overload`: only this part).
import { createInferenceClient } from '@heimdex/client';
import { byCallers } from '../peers/callers.js';
import { cosine, quantile, readOptions, timed } from '../support/measure.js';
import { started, stop, withVolume } from './setup.js';

const options = readOptions({ overload: false });
const CALLERS = 64;
const TEXTS = 512;
const SECONDS = 10;
const WORDS = 'the a of video search image speech word model once offline cache byte proof river stone light'.split(
  ' ',
);
const texts = Array.from({ length: TEXTS }, (_, index) =>
  Array.from(
    { length: 4 + ((index * 37) % 77) },
    (_, position) => WORDS[(index * 7 + position * 13) % WORDS.length],
  ).join(' '),
);

const CASES = [
  ['siglip-pocket, float', { VISION_MODEL_NAME: 'heimdex/siglip-pocket' }, 'vision'],
  ['siglip-pocket, int8', { VISION_MODEL_NAME: 'heimdex/siglip-pocket:q8' }, 'vision'],
  ['MiniLM, int8', { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: 'Xenova/all-MiniLM-L6-v2' }, 'text'],
  ['bge-m3-tiny, float', { LOAD_BGE_M3: 'true', TEXT_MODEL_NAME: 'fixtures/bge-m3-tiny' }, 'text'],
];

async function embedAll(client, model, callers) {
  let answers;
  const ms = await timed(async () => {
    answers = await byCallers(callers, texts, (text) => client.embedText([text], { model }));
  });
  return { vectors: answers.map(({ results }) => results[0].value.vector), perSecond: (TEXTS / ms) * 1000 };
}

async function measure(name, env, model) {
  const server = await started(env);
  const client = createInferenceClient({ address: server.address });
  try {
    await embedAll(client, model, 8);
    const alone = await embedAll(client, model, 1);
    const together = await embedAll(client, model, CALLERS);
    const times = [];
    for (let i = 0; i < 100; i += 1) times.push(await timed(() => client.embedText([texts[i]], { model })));
    const minCosine = Math.min(...texts.map((_, index) => cosine(alone.vectors[index], together.vectors[index])));
    const p50 = quantile(times, 0.5);
    console.log(
      `| ${name} | ${alone.perSecond.toFixed(0)} | ${together.perSecond.toFixed(0)} | ${(together.perSecond / alone.perSecond).toFixed(2)} | ${p50.toFixed(1)} | ${minCosine.toFixed(6)} |`,
    );
  } finally {
    client.close();
    await stop(server);
  }
}

/** Runs callers that call again immediately after every response, refused or not: many times the capacity. */
async function overload(env, model) {
  const server = await started({ ...env, MAX_QUEUE: '16' });
  const client = createInferenceClient({ address: server.address, retry: { maxAttempts: 1 } });
  const load = (callers) => {
    const until = performance.now() + SECONDS * 1000;
    const caller = async () => {
      while (performance.now() < until) {
        await client.embedText(texts.slice(0, 4), { model }).catch((error) => {
          if (error.code !== 'RESOURCE_EXHAUSTED') throw error;
        });
      }
    };
    return Promise.all(Array.from({ length: callers }, caller));
  };
  await load(4);
  const capacity = server.log.filter(({ code }) => code === 'OK').length / SECONDS;
  const before = server.log.length;
  await load(32);
  client.close();
  await stop(server);
  const calls = server.log.slice(before).filter(({ msg }) => msg === 'call');
  const times = (status) => calls.filter(({ code }) => code === status).map(({ ms }) => ms);
  const [served, refused] = [times('OK'), times('RESOURCE_EXHAUSTED')];
  console.log(
    `\nA queue of 16 texts, calls of 4: ${capacity} calls/s by 4 callers; by 32 that retry immediately ${served.length / SECONDS} calls/s served, ` +
      `p99 ${quantile(served, 0.99)} ms, and ${refused.length / SECONDS} calls/s refused, in ${quantile(refused, 0.5)} ms (p50), ${quantile(refused, 0.99)} ms (p99), by the server's log.`,
  );
}

await withVolume(async (fill) => {
  console.log(
    `| model | texts/s, one caller | texts/s, ${CALLERS} callers | ratio | p50 of a single caller, ms | min cosine, alone vs. batched |\n|---|---|---|---|---|---|`,
  );
  let first;
  for (const [name, chosen, model] of CASES) {
    const settings = await fill(chosen);
    first ??= settings;
    if (options.overload) break;
    if (settings === undefined) console.log(`| ${name} | missing | | | | |`);
    else await measure(name, settings, model);
  }
  if (first !== undefined) await overload(first, 'vision');
});
