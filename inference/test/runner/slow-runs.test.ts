import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'chai';
import { readProcessWork } from '../../src/process/work-reading.js';
import { describeWork, type SlowRun, watchRun } from '../../src/runner/slow-runs.js';

const SLEEPING = { state: 'S', runnable: false, cpuMs: 100, waitedMs: 50 };

describe('watchRun', () => {
  it('reports a run that exceeds its prediction, with the state of its process', async function () {
    if (process.platform !== 'linux') this.skip();
    const child = spawn(process.execPath, ['-e', 'console.log(1); for (;;);'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const { pid, stdout } = child;
    if (pid === undefined || stdout === null) throw new Error('no process');
    try {
      await once(stdout, 'data');
      const slow = await new Promise<SlowRun>((resolve) => {
        const limits = { hangMs: 60_000, minSlowMs: 1000, sampleMs: 100 };
        const run = { run: 7, items: 3, expectedMs: 5, progress: () => 0, read: () => readProcessWork(pid) };
        // The timers of the watch do not keep a process alive.
        const stop = watchRun({ ...limits, ...run, report: resolve });
        void once(child, 'exit').then(stop);
      });
      expect(slow).to.include({ run: 7, items: 3, expectedMs: 5, progress: 0 });
      expect(slow.doing).to.be.oneOf(['computes', 'computes now and then', 'waits for a CPU: the machine is busy']);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  it('describes what a process did between two readings', () => {
    const after = (change: object) => describeWork(SLEEPING, { ...SLEEPING, ...change }, 1000);
    expect(after({ cpuMs: 1900 })).to.equal('computes');
    expect(after({ waitedMs: 900 })).to.equal('waits for a CPU: the machine is busy');
    expect(after({ state: 'D' })).to.equal('waits for a disk');
    expect(after({ state: 'T' })).to.equal('is stopped by a signal');
    expect(after({})).to.equal('sleeps without using a CPU');
  });
});
