import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { decodeWithin } from '../../src/media/images/decode-limit.js';
import { readProcessWork, readThreadWork, type WorkReading, workedMs } from '../../src/work-reading.js';
import { lookEveryMs, WorkTimer } from '../../src/work-timer.js';

const AT_REST: WorkReading = { state: 'S', runnable: false, cpuMs: 100, waitedMs: 50 };

describe('work', () => {
  it('is the processor time of what can run, and all time of what sleeps but its waits for a processor', () => {
    const cases: readonly (readonly [string, Partial<WorkReading>, number])[] = [
      ['a thread that ran all the time', { runnable: true, state: 'R', cpuMs: 1100 }, 1000],
      ['four threads that did', { runnable: true, state: 'R', cpuMs: 4100 }, 1000],
      ['one that had a tenth', { runnable: true, state: 'R', cpuMs: 200 }, 100],
      ['one that had nothing', { runnable: true, state: 'R' }, 0],
      ['one that sleeps and nobody keeps it from working', {}, 1000],
      ['one that is stopped', { state: 'T' }, 1000],
      ['one that waits for a disk', { state: 'D' }, 1000],
      ['one that waited for most of the time and sleeps just now', { cpuMs: 150, waitedMs: 950 }, 100],
      ['one whose threads waited for longer than there was time', { cpuMs: 150, waitedMs: 4050 }, 50],
      ['one that ended threads, which took their counts along', { waitedMs: 3 }, 1000],
    ];
    for (const [what, after, expected] of cases) {
      expect(workedMs(AT_REST, { ...AT_REST, ...after }, 1000), what).to.equal(expected);
    }
  });

  it('is all time where the system does not tell', () => {
    expect(workedMs(undefined, AT_REST, 1000)).to.equal(1000);
    expect(workedMs(AT_REST, undefined, 1000)).to.equal(1000);
  });
});

describe('a limit on work', () => {
  const open: WorkTimer[] = [];
  afterEach(() => {
    for (const timer of open.splice(0)) timer.close();
  });
  /** Looks at what `next` gives, one after the other, and calls `told` at each look. */
  function timer(next: () => WorkReading | undefined, everyMs = 1): WorkTimer {
    const made = new WorkTimer({ read: async () => next(), everyMs });
    open.push(made);
    return made;
  }

  it('is reached by what sleeps, and where there is nothing to look at', async () => {
    for (const reading of [AT_REST, undefined]) {
      const limit = timer(() => reading);
      await new Promise<void>((resolve) => limit.set(20, resolve));
    }
  });

  it('is not reached by what gets no processor, however long it takes, and then by what it works', async () => {
    let looks = 0;
    let over = false;
    await new Promise<void>((resolve) => {
      const limit = timer(() => {
        looks += 1;
        if (looks === 200) expect(over).to.equal(false);
        // After 200 looks it has the processor to itself.
        return { state: 'R', runnable: true, cpuMs: looks < 200 ? 100 : 100 + looks, waitedMs: 0 };
      });
      limit.set(5, () => {
        over = true;
        resolve();
      });
    });
    expect(looks).to.be.greaterThan(200);
  });

  it('begins anew when it is set anew, and ends when it is cleared', async () => {
    let looks = 0;
    let over = 0;
    const limit = timer(() => {
      looks += 1;
      return AT_REST;
    });
    limit.set(1_000_000, () => over++);
    limit.set(1, () => over++);
    limit.clear();
    await new Promise<void>((resolve) => limit.set(30, resolve));
    expect([over, looks > 2]).to.deep.equal([0, true]);
  });

  it('is looked at eight times, at least every two seconds', () => {
    expect([80, 400, 120_000, 1].map(lookEveryMs)).to.deep.equal([10, 50, 2000, 10]);
  });
});

describe('a look', () => {
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
      const reading = await readProcessWork(pid);
      if (reading === undefined) throw new Error(`process ${pid} is gone`);
      if (holds(reading)) return reading;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const BUSY = ['-c', 'while :; do :; done'];

  it('tells a process that is stopped from one that works', async () => {
    const pid = await started('sh', BUSY);
    const before = await until(pid, ({ cpuMs }) => cpuMs >= 30);
    expect(before).to.include({ state: 'R', runnable: true });
    process.kill(pid, 'SIGSTOP');
    const stopped = await until(pid, ({ state }) => state === 'T');
    const later = await until(pid, () => true);
    // All time counts: nothing keeps it from working but whoever has stopped it.
    expect(workedMs(stopped, later, 1000)).to.equal(1000);
  });

  it('counts of a starved process what it worked, not how long it took', async function () {
    const [cpu = '0'] = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.slice(1) ?? [];
    let starved: number;
    let rival: number;
    try {
      // Both on one processor; the first gets it when nobody else wants it.
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

  it('at a thread of this process sees that thread alone', async () => {
    const thread = new Worker(
      `const { parentPort } = require('node:worker_threads');
       parentPort.postMessage(require('node:fs').readlinkSync('/proc/thread-self'));
       for (;;);`,
      { eval: true },
    );
    try {
      const link = await new Promise<string>((resolve) => thread.once('message', resolve));
      const tid = Number(link.split('/').at(-1));
      const first = await readThreadWork(tid);
      for (let reading = first; (reading?.cpuMs ?? 0) < (first?.cpuMs ?? 0) + 30; ) reading = await readThreadWork(tid);
      expect(first).to.include({ state: 'R', runnable: true });
    } finally {
      await thread.terminate();
    }
  });

  it('is undefined of a process that is gone', async () => {
    expect(await readProcessWork(2 ** 22 + 1)).to.equal(undefined);
  });
});

describe('the limit of an image’s decoder', () => {
  const timeUp = new Error('timeout: 12% complete');
  const isTimeUp = (error: unknown) => error === timeUp;

  /** Attempts that end in time once they are given `enough` seconds; each uses the processor for `cpuMs`. */
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

  it('gives more time where the process could not work', async () => {
    expect(await attempts(100, 400)).to.deep.equal({ given: [30, 60, 120], failed: false });
  });

  it('ends at the first attempt where it worked, and in the end in any case', async () => {
    expect(await attempts(100, 29_000)).to.deep.equal({ given: [30], failed: true });
    const { given, failed } = await attempts(1e9, 0);
    expect([given.at(-1), failed]).to.deep.equal([3600, true]);
  });

  it('passes on what is no matter of time', async () => {
    const broken = new Error('damaged');
    let turns = 0;
    const error = await decodeWithin({ seconds: 30, isTimeUp, cpuMs: () => 0 }, async () => {
      turns += 1;
      throw broken;
    }).catch((reason: unknown) => reason);
    expect([error, turns]).to.deep.equal([broken, 1]);
  });
});
