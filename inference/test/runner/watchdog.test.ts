import { expect } from 'chai';
import { diagnose, type Sample } from '../../src/runner/watchdog.js';

const LIMITS = { everyMs: 1000, maxOwnBytes: 100, cpuBound: true };
const IDLE: Sample = {
  state: 'S',
  runnable: false,
  cpuMs: 50,
  waitedMs: 7,
  ownBytes: 10,
  run: undefined,
  progress: 0,
};
const RUNNING: Sample = { ...IDLE, run: 1 };
const STARVED: Sample = { ...RUNNING, state: 'R', runnable: true };

describe('the watchdog', () => {
  it('accepts an idle worker', () => {
    expect(diagnose([IDLE, IDLE, IDLE], LIMITS)).to.equal(undefined);
  });

  it('accepts a run that uses CPU time, makes progress, waits for a disk or has just started', () => {
    const cases: Sample[][] = [
      [RUNNING, { ...RUNNING, cpuMs: 60 }, { ...RUNNING, cpuMs: 70 }],
      [RUNNING, RUNNING, { ...RUNNING, progress: 1 }],
      [RUNNING, RUNNING, { ...RUNNING, state: 'D' }],
      [RUNNING, RUNNING, { ...RUNNING, run: 2 }],
    ];
    for (const samples of cases) expect(diagnose(samples, LIMITS)).to.equal(undefined);
  });

  it('accepts a run that is starved of CPU', () => {
    const cases: Sample[][] = [
      [STARVED, STARVED, STARVED],
      // One thread waits for a CPU; the main thread sleeps until it is done.
      [RUNNING, { ...RUNNING, runnable: true }, RUNNING],
      // It got a few time slices between the samples, too short for the kernel's resolution of 10 ms.
      [RUNNING, { ...RUNNING, waitedMs: 400 }, { ...RUNNING, waitedMs: 800 }],
    ];
    for (const samples of cases) expect(diagnose(samples, LIMITS)).to.equal(undefined);
  });

  it('does not treat short waits for a CPU as starvation', () => {
    expect(diagnose([RUNNING, RUNNING, { ...RUNNING, waitedMs: 9 }], LIMITS)).to.include('no CPU time');
  });

  it('detects a stuck run in the third sample', () => {
    expect(diagnose([RUNNING, RUNNING], LIMITS)).to.equal(undefined);
    expect(diagnose([RUNNING, RUNNING, RUNNING], LIMITS)).to.include('no CPU time in a run for 2000 ms');
  });

  it('does not require CPU time of a run on a GPU', () => {
    expect(diagnose([RUNNING, RUNNING, RUNNING], { ...LIMITS, cpuBound: false })).to.equal(undefined);
  });

  it('detects a stopped process in the third sample', () => {
    const stopped = { ...IDLE, state: 'T' };
    expect(diagnose([IDLE, stopped, stopped], LIMITS)).to.equal(undefined);
    expect(diagnose([stopped, stopped, stopped], LIMITS)).to.include('stopped');
  });

  it('detects excessive memory in the first sample', () => {
    expect(diagnose([{ ...IDLE, ownBytes: 101 }], LIMITS)).to.include('memory');
  });
});
