import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { decodeWithin } from '../../src/media/images/decode-limit.js';
import { readProcessWork, readThreadWork, type WorkReading, workedMs } from '../../src/process/work-reading.js';
import { sampleIntervalMs, WorkTimer } from '../../src/process/work-timer.js';

const AT_REST: WorkReading = { state: 'S', runnable: false, cpuMs: 100, waitedMs: 50 };

describe('workedMs', () => {
  it('is the CPU time of a runnable process, and the elapsed time without waits of a sleeping one', () => {
    const cases: readonly (readonly [string, Partial<WorkReading>, number])[] = [
      ['a thread that ran the whole time', { runnable: true, state: 'R', cpuMs: 1100 }, 1000],
      ['four such threads', { runnable: true, state: 'R', cpuMs: 4100 }, 1000],
      ['one that got a tenth of a CPU', { runnable: true, state: 'R', cpuMs: 200 }, 100],
      ['one that got no CPU', { runnable: true, state: 'R' }, 0],
      ['one that sleeps', {}, 1000],
      ['one that is stopped', { state: 'T' }, 1000],
      ['one that waits for a disk', { state: 'D' }, 1000],
      ['one that waited most of the time and now sleeps', { cpuMs: 150, waitedMs: 950 }, 100],
      ['one whose threads together waited longer than the elapsed time', { cpuMs: 150, waitedMs: 4050 }, 50],
      ['one with ended threads, whose counts are lost', { waitedMs: 3 }, 1000],
    ];
    for (const [what, after, expected] of cases) {
      expect(workedMs(AT_REST, { ...AT_REST, ...after }, 1000), what).to.equal(expected);
    }
  });

  it('is the elapsed time without readings', () => {
    expect(workedMs(undefined, AT_REST, 1000)).to.equal(1000);
    expect(workedMs(AT_REST, undefined, 1000)).to.equal(1000);
  });
});

describe('WorkTimer', () => {
  const open: WorkTimer[] = [];
  afterEach(() => {
    for (const timer of open.splice(0)) timer.close();
  });
  /** Creates a timer that reads from `next`. */
  function timer(next: () => WorkReading | undefined): WorkTimer {
    const created = new WorkTimer({ read: next, everyMs: 1 });
    open.push(created);
    return created;
  }

  it('reaches the limit for a sleeping process, and without readings', async () => {
    for (const reading of [AT_REST, undefined]) {
      const limit = timer(() => reading);
      await new Promise<void>((resolve) => limit.set(20, resolve));
    }
  });

  it('does not count time without CPU, only work', async () => {
    let samples = 0;
    let exceeded = false;
    await new Promise<void>((resolve) => {
      const limit = timer(() => {
        samples += 1;
        if (samples === 200) expect(exceeded).to.equal(false);
        // After 200 samples it gets the CPU.
        return { state: 'R', runnable: true, cpuMs: samples < 200 ? 100 : 100 + samples, waitedMs: 0 };
      });
      limit.set(5, () => {
        exceeded = true;
        resolve();
      });
    });
    expect(samples).to.be.greaterThan(200);
  });

  it('restarts on set, and stops on clear', async () => {
    let samples = 0;
    let exceeded = 0;
    const limit = timer(() => {
      samples += 1;
      return AT_REST;
    });
    limit.set(1_000_000, () => exceeded++);
    limit.set(1, () => exceeded++);
    limit.clear();
    await new Promise<void>((resolve) => limit.set(30, resolve));
    expect([exceeded, samples > 2]).to.deep.equal([0, true]);
  });

  it('samples eight times per limit, at least every two seconds', () => {
    expect([80, 400, 120_000, 1].map(sampleIntervalMs)).to.deep.equal([10, 50, 2000, 10]);
  });
});

describe('readProcessWork and readThreadWork', () => {
  const children: ChildProcess[] = [];
  before(function () {
    if (process.platform !== 'linux') this.skip();
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  const started = async (command: string, args: readonly string[]): Promise<number> => {
    const child = spawn(command, args, { stdio: 'ignore' });
    children.push(child);
    await new Promise((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    return child.pid ?? 0;
  };
  const until = async (pid: number, holds: (reading: WorkReading) => boolean): Promise<WorkReading> => {
    for (;;) {
      const reading = readProcessWork(pid);
      if (reading === undefined) throw new Error(`process ${pid} is gone`);
      if (holds(reading)) return reading;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const BUSY = ['-c', 'while :; do :; done'];

  it('distinguish a stopped process from a running one', async () => {
    const pid = await started('sh', BUSY);
    const before = await until(pid, ({ cpuMs }) => cpuMs >= 30);
    expect(before).to.include({ state: 'R', runnable: true });
    process.kill(pid, 'SIGSTOP');
    const stopped = await until(pid, ({ state }) => state === 'T');
    const later = await until(pid, () => true);
    // All time counts: it is stopped, not starved.
    expect(workedMs(stopped, later, 1000)).to.equal(1000);
  });

  it('count the CPU time of a starved process, not the elapsed time', async function () {
    const [cpu = '0'] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
    let starved: number;
    let rival: number;
    try {
      // Both on one CPU; the first has the lowest priority.
      starved = await started('taskset', ['-c', cpu, 'chrt', '-i', '0', 'sh', ...BUSY]);
      rival = await started('taskset', ['-c', cpu, 'sh', ...BUSY]);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      console.log('      skipped: taskset and chrt are not installed');
      return this.skip();
    }
    let rivalLast = await until(rival, ({ cpuMs }) => cpuMs >= 50);
    const end = rivalLast.cpuMs + 500;
    let last = await until(starved, () => true);
    let worked = 0;
    let passed = 0;
    for (let atMs = performance.now(); rivalLast.cpuMs < end; ) {
      const next = await until(starved, () => true);
      const nowMs = performance.now();
      worked += workedMs(last, next, nowMs - atMs);
      passed += nowMs - atMs;
      [last, atMs] = [next, nowMs];
      rivalLast = await until(rival, () => true);
    }
    expect(passed).to.be.at.least(500);
    expect(worked).to.be.at.most(passed / 4);
  });

  it('read a single thread of this process', async () => {
    const thread = new Worker(
      `const { parentPort } = require('node:worker_threads');
       parentPort.postMessage(require('node:fs').readlinkSync('/proc/thread-self'));
       for (;;);`,
      { eval: true },
    );
    try {
      const link = await new Promise<string>((resolve) => thread.once('message', resolve));
      const tid = Number(link.split('/').at(-1));
      const first = readThreadWork(tid);
      for (let reading = first; (reading?.cpuMs ?? 0) < (first?.cpuMs ?? 0) + 30; ) reading = readThreadWork(tid);
      expect(first).to.include({ state: 'R', runnable: true });
    } finally {
      await thread.terminate();
    }
  });

  it('return undefined for a process that has ended', async () => {
    expect(readProcessWork(2 ** 22 + 1)).to.equal(undefined);
  });
});

describe('decodeWithin', () => {
  const timeUp = new Error('timeout: 12% complete');
  const isTimeUp = (error: unknown) => error === timeUp;

  /** Runs attempts that succeed with a limit of `enough` seconds; each uses `usedMs` of CPU time. */
  async function attempts(enough: number, usedMs: number): Promise<{ given: number[]; failed: boolean }> {
    const given: number[] = [];
    let cpuMs = 0;
    const done = decodeWithin({ seconds: 30, isTimeUp, cpuMs: () => cpuMs }, async (seconds) => {
      given.push(seconds);
      cpuMs += usedMs;
      if (seconds < enough) throw timeUp;
    });
    const failed = await done.then(
      () => false,
      () => true,
    );
    return { given, failed };
  }

  it('extends the limit if the process was starved of CPU', async () => {
    expect(await attempts(100, 400)).to.deep.equal({ given: [30, 60, 120], failed: false });
  });

  it('fails at the first attempt that had CPU, and eventually in any case', async () => {
    expect(await attempts(100, 29_000)).to.deep.equal({ given: [30], failed: true });
    const { given, failed } = await attempts(1e9, 0);
    expect([given.at(-1), failed]).to.deep.equal([3600, true]);
  });

  it('rethrows other errors', async () => {
    const broken = new Error('damaged');
    let attemptCount = 0;
    const error = await decodeWithin({ seconds: 30, isTimeUp, cpuMs: () => 0 }, async () => {
      attemptCount += 1;
      throw broken;
    }).catch((reason: unknown) => reason);
    expect([error, attemptCount]).to.deep.equal([broken, 1]);
  });
});
