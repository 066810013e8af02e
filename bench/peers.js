/**
 * This server beside what else does the same, each with its defaults on all cores, in turns: prints how many times as fast it is.
 * Usage: node bench/peers.js --python PYTHON [--model DIR] [--ggml FILE] [--only WORDS] [--cpus N] [--rounds 5] [--write]
 * (after npm run build). Every peer, the models of two of them, and the results: peers/README.md.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { createInferenceClient } from '@heimdex/client';
import { useCpus } from './peers/cpus.js';
import { SERVERS } from './peers/lines.js';
import { Absent } from './peers/python.js';
import { cpuKind, printHead, rowOf, writeRows } from './peers/table.js';
import { allWorkers, prepare, started, stop, withVolumeOf } from './serving/setup.js';
import { temporaryDir } from './support/dir.js';
import { median, quantile, readOptions, timed } from './support/measure.js';
import { whisperBase } from './support/whisper-base.js';

const options = readOptions({
  /** Whisper base in faster-whisper's format. */
  model: undefined,
  /** Whisper base in whisper.cpp's format. */
  ggml: undefined,
  /** Only lines whose "name, peer" holds this. */
  only: '',
  /** Only the first N of the CPUs, for all of them; default: all. */
  cpus: undefined,
  write: false,
});
if (options.cpus !== undefined) useCpus(Number(options.cpus));
// Threads of a peer may spin for a moment after a turn.
const PAUSE_MS = 200;
const cpu = options.cpus === undefined ? cpuKind() : `${cpuKind()}, --cpus ${options.cpus}`;
const rows = [];
/** Threads of the speech peers, which do not choose them by the machine. */
const threads = Math.min(2, availableParallelism());

/** Returns the ms of a call of each in one turn of both, and what both answered. */
async function turn(line, client, peer, peerFirst) {
  const round = { ours: 0, peer: Number.POSITIVE_INFINITY };
  const own = async () => {
    const ms = await timed(async () => {
      round.own = await line.ours(client);
    });
    round.ours = ms / line.calls;
    await sleep(PAUSE_MS);
  };
  const others = async () => {
    for (const one of line.turns) {
      const { seconds, result } = await peer.take(one);
      round.peer = Math.min(round.peer, (seconds * 1000) / line.calls);
      round.theirs = result;
      await sleep(PAUSE_MS);
    }
  };
  for (const step of peerFirst ? [others, own] : [own, others]) await step();
  return round;
}

async function measure(line, client, server) {
  const peer = await line.start();
  try {
    const round = (peerFirst) => line.round?.(client, server, peer) ?? turn(line, client, peer, peerFirst);
    for (let count = line.settling ?? 1; count > 0; count -= 1) await round(false);
    const rounds = [];
    for (let index = 0; index < options.rounds; index += 1) rounds.push(await round(index % 2 === 1));
    const ratios = rounds.map((one) => one.peer / one.ours);
    const middle = (field) => {
      const value = median(rounds.map((one) => one[field]));
      return `${value.toFixed(value < 100 ? 1 : 0)}${line.unit === undefined ? '' : ` ${line.unit}`}`;
    };
    const [low, middlemost, high] = [0, 0.5, 1].map((share) => quantile(ratios, share).toFixed(2));
    const { own, theirs } = rounds.at(-1);
    const times = `${middlemost} (${low} to ${high})`;
    const row = rowOf([line.name, cpu, line.peer, middle('ours'), middle('peer'), times, line.compare(own, theirs)]);
    console.log(row);
    rows.push(row);
  } finally {
    await peer.close();
  }
}

console.log(`CPU: ${cpu}, ${availableParallelism()} cores; ${options.rounds} rounds\n`);
printHead();
const dir = temporaryDir();
const base = whisperBase(`${options.shared}/models`);
await withVolumeOf(base === undefined ? [] : [base], async (fill) => {
  for (const { settings, linesOf } of SERVERS) {
    const lines = (await linesOf({ ...options, dir, threads })).filter(({ name, peer }) =>
      `${name}, ${peer}`.includes(options.only),
    );
    if (lines.length === 0) continue;
    const filled = await fill(settings);
    if (filled === undefined) {
      for (const { name } of lines) console.log(`skipped: ${name}: its model is not there (peers/README.md)`);
      continue;
    }
    await prepare(filled);
    const server = await started(filled);
    const client = createInferenceClient({ address: server.address });
    try {
      await allWorkers(server);
      for (const { model, workers, threads } of server.log.filter(({ msg }) => msg === 'loading'))
        console.log(`${model}: ${workers} workers x ${threads} threads`);
      for (const line of lines) {
        await measure(line, client, server).catch((error) => {
          if (!(error instanceof Absent)) throw error;
          console.log(`skipped: ${line.name}, ${line.peer}: ${error.message}`);
        });
      }
    } finally {
      client.close();
      await stop(server);
    }
  }
});
if (options.write) writeRows(rows);
