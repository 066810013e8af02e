/**
 * Measures the load time of plain and optimized models: `node bench/start/run.js [--rounds 7]`. Needs a build.
 *
 * The models are configured by the server's environment variables (HF_HUB_CACHE, ASR_MODEL, ...). Every graph of the volume is
 * prepared first. Each run is a separate worker process, as in the server, plain and prepared alternating. Prints medians and their
 * ratios. On a busy machine CPU time is more reliable than wall time.
 */
import { spawnSync } from 'node:child_process';
import { readModelEnvironment } from '@heimdex/cache';
import { findModels } from '../../inference/dist/src/models/find.js';
import { LOADERS } from '../../inference/dist/src/models/loaders.js';
import { preparedOptions } from '../../inference/dist/src/models/session/optimized/use.js';
import { inRepository, median, OPTIONS, readOptions } from '../support/measure.js';
import { memoryField } from '../support/memory.js';

const { rounds, model, kind } = readOptions({
  rounds: 7,
  /** Of the child processes: loads the model with this number, `plain` or `prepared`. */
  model: undefined,
  kind: 'plain',
});

/** In a child process: loads one model and reports its costs. */
async function loadOnce(index, useOptimized) {
  const environment = readModelEnvironment(process.env);
  const model = (await findModels(environment))[index];
  if (model === undefined) return console.log('null');
  const uses = [];
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const loaded = await LOADERS[model.family](model.files, {
    ...OPTIONS,
    prepared: useOptimized ? preparedOptions(environment.cacheDir, model, 'quick') : undefined,
    onGraph: (use) => uses.push(use),
  });
  const loadMs = performance.now() - startedAt;
  await loaded.warmUp();
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  const ownMib = memoryField('self', 'Private_Dirty');
  const prepared = uses.filter((use) => use.prepared).length;
  console.log(
    JSON.stringify({ family: model.family, loadMs, wallMs, cpuMs: (user + system) / 1000, ownMib, prepared }),
  );
  process.kill(process.pid, 'SIGKILL');
}

function measure() {
  const program = inRepository('inference/bin/heimdex-inference.js');
  const made = spawnSync(process.execPath, [program, 'prepare', '--min-mb', '0'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (made.status !== 0) process.exit(1);
  console.log('| model | | load | load and warm-up | CPU | private memory |\n|---|---|---|---|---|---|');
  for (let index = 0; ; index += 1) {
    const results = { plain: [], prepared: [] };
    for (let run = 0; run < rounds; run += 1) {
      for (const kind of ['plain', 'prepared']) {
        const child = spawnSync(process.execPath, [process.argv[1], '--model', String(index), '--kind', kind], {
          encoding: 'utf8',
        });
        const result = JSON.parse(child.stdout);
        if (result === null) return;
        results[kind].push(result);
      }
    }
    const of = (kind, name) => median(results[kind].map((result) => result[name]));
    for (const kind of ['plain', 'prepared']) {
      const cells = ['loadMs', 'wallMs', 'cpuMs'].map((name) => `${of(kind, name).toFixed(0)} ms`);
      console.log(
        `| ${results[kind][0].family} | ${kind} | ${cells.join(' | ')} | ${of(kind, 'ownMib').toFixed(0)} MiB |`,
      );
    }
    const ratios = ['loadMs', 'wallMs', 'cpuMs', 'ownMib'].map((name) =>
      (of('prepared', name) / of('plain', name)).toFixed(2),
    );
    console.log(`| | ratio | ${ratios.join(' | ')} |`);
  }
}

if (model === undefined) measure();
else await loadOnce(Number(model), kind === 'prepared');
