import { ChildProcess, execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import type { Pool } from '../../src/runner/pool.js';
import type { WorkerProcess } from '../../src/runner/worker-process.js';
import type { Executor } from '../../src/scheduling/executor.js';
import { ModelQueue } from '../../src/scheduling/model-queue.js';
import { FAKE_WORKER, startFakePool } from '../fixtures/fake-pool.js';

const WITHOUT_FILES = fileURLToPath(new URL('../fixtures/pool-without-files.js', import.meta.url));
const DIES_IN_LOADING = fileURLToPath(new URL('../fixtures/dying-worker.js', import.meta.url));

describe('a pool of workers', () => {
  it('counts a worker that cannot be started as lost, and starts it later', async function () {
    if (process.platform !== 'linux') return this.skip();
    const limited = `ulimit -n 64 && exec '${process.execPath}' '${WITHOUT_FILES}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', limited]);
    expect(stdout).to.equal('the process could not be started: too many open files (EMFILE or ENFILE)');
  });

  it('starts workers that the system ends before the serving process when memory runs out', async function () {
    if (process.platform !== 'linux') return this.skip();
    const adjustment = (pid: string | number) => Number(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8'));
    const pool = startFakePool({});
    try {
      expect(pool.pids.map(adjustment)).to.deep.equal([Math.min(1000, adjustment('self') + 500)]);
    } finally {
      await pool.close();
    }
  });

  it('gives no run to a worker that is being killed: the next one has it', async () => {
    const queue = new ModelQueue<unknown, unknown>({
      name: 'text',
      cost: () => 1,
      kind: () => '',
      limits: { maxItems: 8, maxWaitMs: 60_000 },
      batch: { maxItems: 8, maxCost: 8, maxPadding: 1 },
      now: () => performance.now(),
    });
    const lost = (executor: Executor<unknown, unknown>) => queue.removeExecutor(executor);
    let pool: Pool | undefined;
    const first = await new Promise<Executor<unknown, unknown>>((resolve) => {
      const ready = (executor: Executor<unknown, unknown>) => {
        queue.addExecutor(executor);
        resolve(executor);
      };
      pool = startFakePool({ ready, lost });
    });
    try {
      const admission = queue.admit({ items: 1, cost: 1, priority: 'interactive' });
      (first as WorkerProcess).kill('it is stuck');
      const { value } = await admission.submit({ text: 'a' }, new AbortController().signal);
      expect(value).to.include({ tokenCount: 1 });
    } finally {
      await pool?.close();
    }
  });

  it('is closed although a worker cannot be killed', async () => {
    const messages: string[] = [];
    const pool = await new Promise<Pool>((resolve) => {
      const started: Pool = startFakePool({
        endMs: 0,
        ready: () => resolve(started),
        logged: ({ msg }) => void messages.push(msg),
      });
    });
    const [pid = 0] = pool.pids;
    const { kill } = ChildProcess.prototype;
    ChildProcess.prototype.kill = () => true;
    try {
      await pool.close();
      expect(messages.at(-1)).to.equal('workers were killed but have not ended');
    } finally {
      ChildProcess.prototype.kill = kill;
      process.kill(pid, 'SIGKILL');
    }
  });

  it('is given up when its workers are lost again and again while they load, however long that takes', async () => {
    const problem = await new Promise<string>((failed) => {
      startFakePool({ programs: [DIES_IN_LOADING], stableMs: 0, maxLosses: 2, failed });
    });
    expect(problem).to.match(/^The worker process of the text model died 2 times in a row while it started: /);
  });

  it('restarts a worker that is lost soon with a rising pause, although its runs succeed between the losses', async () => {
    const delays: unknown[] = [];
    const { readyInMs, loadSeconds } = await new Promise<Pick<Pool, 'readyInMs' | 'loadSeconds'>>((resolve) => {
      const run = async (worker: Executor<unknown, unknown>, text: string) => {
        const options = { preempting: false, poisonSuspect: false, expectedMs: undefined, settled: () => {} };
        return worker.run([{ type: 'text', text }], [new AbortController().signal], options).catch(() => {});
      };
      const pool = startFakePool({
        ready: (worker) => void run(worker, 'good').then(() => run(worker, 'kill')),
        logged: ({ delayMs }) => {
          if (delayMs !== undefined) delays.push(delayMs);
          if (delays.length < 2) return;
          const { readyInMs, loadSeconds } = pool;
          void pool.close().then(() => resolve({ readyInMs, loadSeconds }));
        },
      });
    });
    expect(delays).to.deep.equal([0, 500]);
    // What is left of the pause, and the load that follows it.
    expect(readyInMs).to.be.within(1, 500 + loadSeconds * 1000);
  });

  it('is not given up while another worker is ready', async () => {
    const delays = await new Promise<unknown>((resolve) => {
      const delays: unknown[] = [];
      const pool = startFakePool({
        programs: [FAKE_WORKER, DIES_IN_LOADING],
        workers: 2,
        maxLosses: 1,
        ready: () => pool.grow(),
        logged: ({ delayMs }) => {
          if (delayMs !== undefined) delays.push(delayMs);
          if (delays.length === 2) void pool.close().then(() => resolve(delays));
        },
        failed: resolve,
      });
    });
    expect(delays).to.deep.equal([0, 500]);
  });
});
