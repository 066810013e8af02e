import { expect } from 'chai';
import type { CallStats } from '../../src/services/call.js';
import { CallTiming } from '../../src/services/timing.js';

const RUN = { startedAtMs: 0, batchSize: 2 };

describe('CallTiming', () => {
  it('counts a run once, until its last item, in whatever order the items are told', () => {
    const timing = new CallTiming({ stats: {} });
    timing.record({ ...RUN, id: 1, queueMs: 3, runMs: 40 });
    timing.record({ ...RUN, id: 1, queueMs: 2, runMs: 10 });
    timing.record({ ...RUN, id: 2, queueMs: 1, runMs: 5 });
    expect(timing.finish()).to.deep.equal({ queueMs: 3, runMs: 45, batchSize: 2 });
  });

  it('sums up the runs of a call that is of several parts, such as texts and images', () => {
    const stats: CallStats = {};
    for (const id of [1, 2]) {
      const timing = new CallTiming({ stats });
      timing.record({ ...RUN, id, queueMs: 0, runMs: 10 });
      timing.finish();
    }
    expect(stats).to.include({ runMs: 20 });
  });
});
