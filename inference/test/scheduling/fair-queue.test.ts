import { expect } from 'chai';
import { type BatchLimits, type Entry, FairQueue, Flow } from '../../src/scheduling/fair-queue.js';

const NO_DEADLINE = Number.POSITIVE_INFINITY;
const ONE: BatchLimits = { maxItems: 1, maxCost: NO_DEADLINE, maxPadding: 1 };
const MANY: BatchLimits = { maxItems: 100, maxCost: NO_DEADLINE, maxPadding: 1 };

function entry(item: string, flow: Flow, more: Partial<Entry<string>> = {}): Entry<string> {
  return { item, flow, cost: 1, kind: '', deadlineAtMs: NO_DEADLINE, alone: false, ...more };
}

function takeAll(fairQueue: FairQueue<string>, limits = ONE): string[][] {
  const batches: string[][] = [];
  while (fairQueue.size > 0) batches.push(fairQueue.take(limits, 0).batch.map(({ item }) => item));
  return batches;
}

describe('FairQueue', () => {
  it('keeps the order of one call', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    for (const item of ['a', 'b', 'c']) fairQueue.push(entry(item, flow));
    expect(takeAll(fairQueue)).to.deep.equal([['a'], ['b'], ['c']]);
  });

  it('does not queue a short call behind all items of a long one', () => {
    const fairQueue = new FairQueue<string>();
    const long = new Flow('interactive');
    for (let index = 0; index < 100; index += 1) fairQueue.push(entry(`long ${index}`, long));
    fairQueue.take(ONE, 0);
    fairQueue.push(entry('short', new Flow('interactive')));
    const order = takeAll(fairQueue).flat();
    expect(order.indexOf('short')).to.equal(0);
  });

  for (const limits of [ONE, { ...MANY, maxItems: 8 }]) {
    it(`finishes a call of many items while others always have one waiting, in batches of ${limits.maxItems}`, () => {
      const fairQueue = new FairQueue<string>();
      const single = () => fairQueue.push(entry('single', new Flow('interactive')));
      for (let index = 0; index < 64; index += 1) single();
      const long = new Flow('interactive');
      for (let index = 0; index < 20; index += 1) fairQueue.push(entry('long', long));
      let left = 20;
      let taken = 0;
      while (left > 0 && taken < 10_000) {
        for (const { item } of fairQueue.take(limits, 0).batch) {
          taken += 1;
          if (item === 'long') left -= 1;
          else single();
        }
      }
      // About one in 65 items is its own.
      expect(taken).to.be.at.most(20 * 70);
    });
  }

  it('shares by cost, not by count', () => {
    const fairQueue = new FairQueue<string>();
    const heavy = new Flow('interactive');
    const light = new Flow('interactive');
    for (let index = 0; index < 10; index += 1) {
      fairQueue.push(entry('heavy', heavy, { cost: 10 }));
      fairQueue.push(entry('light', light, { cost: 1 }));
    }
    const first = takeAll(fairQueue).flat().slice(0, 11);
    expect(first.filter((item) => item === 'light')).to.have.length(10);
  });

  it('shares the model between interactive and bulk work by weight', () => {
    const fairQueue = new FairQueue<string>();
    const interactive = new Flow('interactive');
    const bulk = new Flow('bulk');
    for (let index = 0; index < 90; index += 1) {
      fairQueue.push(entry('bulk', bulk));
      fairQueue.push(entry('interactive', interactive));
    }
    const first = takeAll(fairQueue).flat().slice(0, 90);
    expect(first.filter((item) => item === 'bulk')).to.have.length(10);
  });

  it('gives an idle class no credit for unused time', () => {
    const fairQueue = new FairQueue<string>();
    const bulk = new Flow('bulk');
    for (let index = 0; index < 50; index += 1) fairQueue.push(entry('bulk', bulk));
    for (let index = 0; index < 40; index += 1) fairQueue.take(ONE, 0);
    const interactive = new Flow('interactive');
    for (let index = 0; index < 100; index += 1) fairQueue.push(entry('interactive', interactive));
    const first = takeAll(fairQueue).flat().slice(0, 18);
    expect(first.filter((item) => item === 'bulk').length).to.be.within(1, 3);
  });

  for (const [one, other] of [
    ['interactive', 'bulk'],
    ['bulk', 'interactive'],
  ] as const) {
    it(`gives ${one} work no credit for the time in which ${other} work ran without waiting`, () => {
      const fairQueue = new FairQueue<string>();
      for (let index = 0; index < 1000; index += 1) {
        fairQueue.push(entry(other, new Flow(other)));
        fairQueue.take(ONE, 0);
      }
      for (let index = 0; index < 50; index += 1) fairQueue.push(entry(one, new Flow(one)));
      for (let index = 0; index < 50; index += 1) fairQueue.push(entry(other, new Flow(other)));
      const first = takeAll(fairQueue).flat().slice(0, 27);
      expect(first.filter((item) => item === 'bulk').length).to.be.within(1, 4);
    });
  }

  it('gives bulk work no credit for the time in which its only item ran, and failed', () => {
    const fairQueue = new FairQueue<string>();
    const [bulk, interactive] = [new Flow('bulk'), new Flow('interactive')];
    const failed = entry('bulk', bulk);
    fairQueue.push(failed);
    fairQueue.take(ONE, 0);
    for (let index = 0; index < 1000; index += 1) {
      fairQueue.push(entry('interactive', interactive));
      fairQueue.take(ONE, 0);
    }
    fairQueue.pushFront(failed);
    for (let index = 0; index < 50; index += 1) {
      fairQueue.push(entry('bulk', bulk));
      fairQueue.push(entry('interactive', interactive));
    }
    const first = takeAll(fairQueue).flat().slice(0, 27);
    expect(first.filter((item) => item === 'bulk').length).to.be.within(1, 4);
  });

  it('batches only items of one kind', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    for (const item of ['text 1', 'image 1', 'text 2']) {
      fairQueue.push(entry(item, flow, { kind: item.slice(0, 4) }));
    }
    expect(takeAll(fairQueue, MANY)).to.deep.equal([['text 1', 'text 2'], ['image 1']]);
  });

  it('batches items of several callers', () => {
    const fairQueue = new FairQueue<string>();
    fairQueue.push(entry('a', new Flow('interactive')));
    fairQueue.push(entry('b', new Flow('interactive')));
    expect(takeAll(fairQueue, MANY)).to.deep.equal([['a', 'b']]);
  });

  it('limits the padded cost of a batch', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    for (const cost of [3, 3, 3, 3]) fairQueue.push(entry('item', flow, { cost }));
    expect(takeAll(fairQueue, { ...MANY, maxCost: 9 }).map(({ length }) => length)).to.deep.equal([3, 1]);
  });

  it('runs an item above the cost limit alone', () => {
    const fairQueue = new FairQueue<string>();
    fairQueue.push(entry('large', new Flow('interactive'), { cost: 50 }));
    fairQueue.push(entry('small', new Flow('interactive'), { cost: 1 }));
    const batches = takeAll(fairQueue, { ...MANY, maxCost: 9 });
    expect(batches.map(({ length }) => length)).to.deep.equal([1, 1]);
  });

  it('batches items of similar length to limit padding', () => {
    const fairQueue = new FairQueue<string>();
    const costs = [10, 100, 10, 95, 11];
    for (const cost of costs) fairQueue.push(entry(String(cost), new Flow('interactive'), { cost }));
    const batches = takeAll(fairQueue, { ...MANY, maxPadding: 0.1 });
    expect(batches).to.deep.equal([
      ['10', '10', '11'],
      ['100', '95'],
    ]);
  });

  it('does not batch an entry marked as alone', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    for (const item of ['a', 'suspect', 'b']) fairQueue.push(entry(item, flow, { alone: item === 'suspect' }));
    expect(takeAll(fairQueue, MANY)).to.deep.equal([['a', 'b'], ['suspect']]);
  });

  it('runs entries pushed to the front first', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    fairQueue.push(entry('later', flow));
    fairQueue.pushFront(entry('retried', flow));
    expect(takeAll(fairQueue)).to.deep.equal([['retried'], ['later']]);
  });

  it('never returns an entry past its deadline in a batch', () => {
    const fairQueue = new FairQueue<string>();
    const flow = new Flow('interactive');
    fairQueue.push(entry('late', flow, { deadlineAtMs: 10 }));
    fairQueue.push(entry('in time', flow, { deadlineAtMs: 30 }));
    const { batch, expired } = fairQueue.take(MANY, 20);
    expect(batch.map(({ item }) => item)).to.deep.equal(['in time']);
    expect(expired.map(({ item }) => item)).to.deep.equal(['late']);
    expect(fairQueue.size).to.equal(0);
  });

  it('removes an entry once, and its cost with it', () => {
    const fairQueue = new FairQueue<string>();
    const gone = entry('gone', new Flow('bulk'), { cost: 7 });
    fairQueue.push(gone);
    fairQueue.push(entry('kept', new Flow('bulk'), { cost: 2 }));
    expect(fairQueue.cost).to.equal(9);
    expect(fairQueue.remove(gone)).to.equal(true);
    expect(fairQueue.remove(gone)).to.equal(false);
    expect([fairQueue.size, fairQueue.cost]).to.deep.equal([1, 2]);
    expect(takeAll(fairQueue)).to.deep.equal([['kept']]);
    expect([fairQueue.size, fairQueue.cost]).to.deep.equal([0, 0]);
  });

  it('is empty after drain', () => {
    const fairQueue = new FairQueue<string>();
    fairQueue.push(entry('a', new Flow('interactive')));
    fairQueue.push(entry('b', new Flow('bulk')));
    expect(fairQueue.drain().map(({ item }) => item)).to.have.members(['a', 'b']);
    expect([fairQueue.size, fairQueue.cost]).to.deep.equal([0, 0]);
  });
});
