// Shared by the benchmarks of the complete server: fills a volume with the downloader, and starts servers on it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { embeddedRepositories, repositoriesIn, startHub } from '@heimdex/hub';
import { temporaryDir } from '../support/dir.js';
import { inRepository } from '../support/measure.js';

/** Runs a program of this repository, and resolves with its exit status. */
function ended(program, args, env) {
  const child = spawn(process.execPath, [inRepository(program), ...args], {
    env: { ...process.env, ...env },
    stdio: 'ignore',
  });
  return new Promise((resolve) => child.once('close', resolve));
}

/** Optimizes the models of a filled volume, with the smallest size that compose has by default. */
export async function prepare(settings) {
  const status = await ended('inference/bin/heimdex-inference.js', ['prepare', '--min-mb', '4'], settings);
  if (status !== 0) throw new Error(`prepare ended with ${status}`);
}

/** Runs `work` with a function that fills a temporary volume for given settings and returns the server settings, or undefined. */
export function withVolume(work) {
  return withVolumeOf([], work);
}

/** The same with `more` repositories on the hub than the repository's own models and the shared ones. */
export async function withVolumeOf(more, work) {
  const volume = temporaryDir();
  const shared = await repositoriesIn(inRepository('../shared/models')).catch(() => []);
  const own = await embeddedRepositories();
  const first = [...own, ...more];
  const repositories = [...first, ...shared.filter(({ name }) => first.every((other) => other.name !== name))];
  const hub = await startHub({ repositories });
  let locks = 0;
  try {
    await work(async (chosen) => {
      locks += 1;
      const lock = join(volume, `lock-${locks}.json`);
      const env = {
        ASR_MODEL: 'none',
        VISION_MODEL_NAME: 'none',
        FEATURE_FACE: 'false',
        MODELS_DIR: volume,
        ...chosen,
      };
      const settings = { ...env, HF_ENDPOINT: hub.url, MODELS_LOCK: lock };
      return (await ended('downloader/bin/heimdex-downloader.js', [], settings)) === 0 ? settings : undefined;
    });
  } finally {
    await hub.close();
    await rm(volume, { recursive: true, force: true });
  }
}

/** Returns a command pinned to the given CPUs ("0", "0-3"); unchanged if none are given. */
export function onCores(cores, command, args) {
  return cores === undefined ? [command, args] : ['taskset', ['-c', cores, command, ...args]];
}

/**
 * Starts a server, on the given CPUs or all, and waits until it is ready; `log` has its log lines as objects. `program`: of another checkout.
 * Rejects if it ends first, with an error that has the `log`.
 */
export async function started(env, cores, program = inRepository('inference/bin/heimdex-inference.js')) {
  const child = spawn(...onCores(cores, process.execPath, [program]), {
    env: { ...process.env, ...env, HOST: '127.0.0.1', PORT: '0', LOG_FORMAT: 'auto' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = () => child.kill();
  process.once('exit', kill);
  child.once('close', () => process.off('exit', kill));
  const log = [];
  return new Promise((resolve, reject) => {
    child.once('close', (code, signal) =>
      reject(Object.assign(new Error(`the server ended with ${code ?? signal} before it was ready`), { log })),
    );
    createInterface({ input: child.stdout }).on('line', (line) => {
      const entry = JSON.parse(line);
      log.push(entry);
      if (entry.msg !== 'Ready') return;
      const listening = log.find(({ msg }) => msg.startsWith('Listening on '));
      resolve({ child, log, address: listening.msg.slice('Listening on '.length) });
    });
  });
}

/** The log lines of the workers that have loaded their model; each has `model` and `pid`. */
export function workersOf({ log }) {
  return log.filter(({ msg }) => msg.startsWith('Loaded in'));
}

/** Waits for the workers that start after the server is ready. */
export async function allWorkers(server) {
  const loading = server.log.filter(({ msg }) => msg === 'loading');
  const expected = loading.reduce((sum, { workers }) => sum + (workers ?? 1), 0);
  while (workersOf(server).length < expected) await sleep(50);
}

/** Stops a server. */
export async function stop({ child }) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  await closed;
}
