import { constants, PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MIB } from '@heimdex/common';
import { expect } from 'chai';
import { collectWhenIdle } from '../../src/transport/calls/idle-collection.js';

/** Details of an entry about a collection; Node.js has no typings of it. */
type Collection = { readonly detail?: { readonly flags?: number } };

describe('an idle server', () => {
  it('collects garbage once for memory that stays in use, and again after further memory', async () => {
    let forced = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries() as readonly Collection[])
        if (((detail?.flags ?? 0) & constants.NODE_PERFORMANCE_GC_FLAGS_FORCED) !== 0) forced += 1;
    });
    observer.observe({ entryTypes: ['gc'] });
    let look = () => {};
    const end = collectWhenIdle(() => {
      look();
      return 0;
    }, 1);
    const looks = async (count: number) => {
      for (let left = count; left > 0; left -= 1) await new Promise<void>((resolve) => (look = resolve));
      for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    };
    const kept: ArrayBuffer[] = [];
    try {
      for (let times = 1; times <= 2; times += 1) {
        kept.push(new ArrayBuffer(65 * MIB));
        await looks(20);
        expect(forced).to.equal(times);
      }
    } finally {
      end();
      observer.disconnect();
    }
    expect(kept).to.have.length(2);
  });
});
