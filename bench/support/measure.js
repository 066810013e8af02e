// Shared by the benchmarks: options, times, Python peers, and the table.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import './offline.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export function inRepository(path) {
  return `${ROOT}${path}`;
}

/**
 * Parses `--python PATH`, `--ffmpeg PATH`, `--rounds N`, `--shared DIR`, and a benchmark's own options, which are given with their defaults
 * and have the type of these. Undefined: a text without a default; a list: may be repeated. Throws for other options and types.
 */
export function readOptions(own = {}) {
  const defaults = { python: 'python3', ffmpeg: 'ffmpeg', rounds: 5, shared: inRepository('../shared'), ...own };
  const typeOf = (value) => ({
    type: typeof value === 'boolean' ? 'boolean' : 'string',
    multiple: Array.isArray(value),
  });
  const { values } = parseArgs({
    options: Object.fromEntries(Object.entries(defaults).map(([name, value]) => [name, typeOf(value)])),
  });
  for (const [name, value] of Object.entries(values)) {
    if (typeof defaults[name] !== 'number') continue;
    values[name] = Number(value);
    if (!Number.isFinite(values[name])) throw new Error(`--${name} ${value}: expected a number`);
  }
  return { ...defaults, ...values };
}

/** Returns items per second and CPU milliseconds per item, best of `rounds` after a warm-up run. */
export async function measure(count, rounds, run) {
  await run();
  let wallMs = Number.POSITIVE_INFINITY;
  let cpuMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) {
    const cpu = process.cpuUsage();
    const startedAt = performance.now();
    await run();
    wallMs = Math.min(wallMs, performance.now() - startedAt);
    const used = process.cpuUsage(cpu);
    cpuMs = Math.min(cpuMs, (used.user + used.system) / 1000);
  }
  return { perSecond: (count / wallMs) * 1000, cpuMs: cpuMs / count };
}

/** Runs a Python peer with a JSON job on its standard input. Returns undefined if Python or its packages are missing. */
export function runPython(python, script, job) {
  // Default environment; this server's workers use huge pages.
  const { GLIBC_TUNABLES: _, ...env } = process.env;
  const result = spawnSync(python, [fileURLToPath(script)], { input: JSON.stringify(job), encoding: 'utf8', env });
  if (result.status !== 0) {
    console.error(`no Python peer: ${result.error?.message ?? result.stderr.trim().split('\n').at(-1)}`);
    return undefined;
  }
  return JSON.parse(result.stdout);
}

export function printTable(title, rows) {
  console.log(`\n${title}\n`);
  console.log('| program | items/s | CPU ms per item | times Python |');
  console.log('|---|---|---|---|');
  const python = rows.find(([name]) => name.startsWith('Python'))?.[1];
  for (const [name, figures] of rows) {
    if (figures === undefined) continue;
    const times = python === undefined ? '-' : (figures.perSecond / python.perSecond).toFixed(2);
    console.log(`| ${name} | ${figures.perSecond.toFixed(1)} | ${figures.cpuMs.toFixed(2)} | ${times} |`);
  }
}

/** Returns the time of `work`, ms. */
export async function timed(work) {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

/** Returns the quantile `share` of the values. */
export function quantile(values, share) {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? Number.NaN;
}

export function median(values) {
  return quantile(values, 0.5);
}

export function cosine(one, other) {
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

/** Returns the time of a single step in ms, minimum of several rounds. */
export async function stepMs(inputs, step) {
  for (const input of inputs) await step(input);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const startedAt = performance.now();
    for (const input of inputs) await step(input);
    best = Math.min(best, performance.now() - startedAt);
  }
  return best / inputs.length;
}

/** Returns the files of a model directory as the server passes them to a model family. */
export function modelFiles(id, dir, weights) {
  const paths = Object.fromEntries(Object.entries(weights).map(([name, path]) => [name, `${dir}/${path}`]));
  return { id, revision: '0'.repeat(40), variant: 'bench', dir, weights: paths };
}

export const OPTIONS = { device: 'cpu', threads: 1, maxImagePixels: 100_000_000 };
export const CONTEXT = { signals: [], yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)) };
