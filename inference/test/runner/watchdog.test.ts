import { expect } from 'chai';
import { judge, type Sample } from '../../src/runner/watchdog.js';

const LIMITS = { everyMs: 1000, maxOwnBytes: 100, cpuBound: true };
const IDLE: Sample = { state: 'S', cpuTicks: 5, ownBytes: 10, run: undefined, progress: 0 };
const RUNNING: Sample = { ...IDLE, state: 'R', run: 1 };

describe('the watchdog', () => {
  it('leaves an idle worker alone', () => {
    expect(judge([IDLE, IDLE, IDLE], LIMITS)).to.equal(undefined);
  });

  it('leaves a run alone that uses the processor, makes progress, waits for a disk or is another one', () => {
    const cases: Sample[][] = [
      [RUNNING, { ...RUNNING, cpuTicks: 6 }, { ...RUNNING, cpuTicks: 7 }],
      [RUNNING, RUNNING, { ...RUNNING, progress: 1 }],
      [RUNNING, RUNNING, { ...RUNNING, state: 'D' }],
      [RUNNING, RUNNING, { ...RUNNING, run: 2 }],
    ];
    for (const samples of cases) expect(judge(samples, LIMITS)).to.equal(undefined);
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
