import { expect } from 'chai';
import { judge, type Sample } from '../../src/runner/watchdog.js';

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
  it('leaves an idle worker alone', () => {
    expect(judge([IDLE, IDLE, IDLE], LIMITS)).to.equal(undefined);
  });

  it('leaves a run alone that uses the processor, makes progress, waits for a disk or is another one', () => {
    const cases: Sample[][] = [
      [RUNNING, { ...RUNNING, cpuMs: 60 }, { ...RUNNING, cpuMs: 70 }],
      [RUNNING, RUNNING, { ...RUNNING, progress: 1 }],
      [RUNNING, RUNNING, { ...RUNNING, state: 'D' }],
      [RUNNING, RUNNING, { ...RUNNING, run: 2 }],
    ];
    for (const samples of cases) expect(judge(samples, LIMITS)).to.equal(undefined);
  });

  it('leaves a run alone that could work and gets no processor', () => {
    const cases: Sample[][] = [
      [STARVED, STARVED, STARVED],
      // A thread of it waits, its main thread sleeps until that is done.
      [RUNNING, { ...RUNNING, runnable: true }, RUNNING],
      // It had a few slices between the looks, too short for the kernel's hundredths of a second.
      [RUNNING, { ...RUNNING, waitedMs: 400 }, { ...RUNNING, waitedMs: 800 }],
    ];
    for (const samples of cases) expect(judge(samples, LIMITS)).to.equal(undefined);
  });

  it('takes a thread that waits for a moment now and then for no excuse', () => {
    expect(judge([RUNNING, RUNNING, { ...RUNNING, waitedMs: 9 }], LIMITS)).to.include('no processor time');
  });

  it('finds a run that is stuck, in the third look', () => {
    expect(judge([RUNNING, RUNNING], LIMITS)).to.equal(undefined);
    expect(judge([RUNNING, RUNNING, RUNNING], LIMITS)).to.include('no processor time in a run for 2000 ms');
  });

  it('does not ask a GPU’s run for processor time', () => {
    expect(judge([RUNNING, RUNNING, RUNNING], { ...LIMITS, cpuBound: false })).to.equal(undefined);
  });

  it('finds a stopped process, in the third look', () => {
    const stopped = { ...IDLE, state: 'T' };
    expect(judge([IDLE, stopped, stopped], LIMITS)).to.equal(undefined);
    expect(judge([stopped, stopped, stopped], LIMITS)).to.include('stopped');
  });

  it('finds too much memory in the first look', () => {
    expect(judge([{ ...IDLE, ownBytes: 101 }], LIMITS)).to.include('memory');
  });
});
