import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { makeModelQueue, place, refusal, settled } from '../support/model-queue.js';

describe('Lane, while a long run is going on', () => {
  const long = 'x'.repeat(20);
  const forever = () => new AbortController().signal;
  const running = async (priority: 'interactive' | 'bulk' = 'interactive', items = [long]) => {
    const { modelQueue, executor, clock } = makeModelQueue({ limits: { maxItems: 100, maxWaitMs: 1000 } });
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...place, priority, items: items.length });
    const results = items.map((item) => admission.submit(item, forever()));
    await settled();
    return { modelQueue, executor, clock, results };
  };

  it('lets a short item go between its steps, and the next run wait for both', async () => {
    const { modelQueue, executor, results } = await running();
    const short = modelQueue.admit(place).submit('short', forever());
    const next = modelQueue.admit(place).submit(long, forever());
    await settled();
    expect(executor.runs.map(({ items, preempting }) => [items[0], preempting])).to.deep.equal([
      [long, false],
      ['short', true],
    ]);
    executor.at(0).answer();
    await Promise.all(results);
    await settled();
    expect(executor.runs).to.have.length(2);
    executor.at(1).answer();
    expect((await short).value).to.equal('SHORT');
    await settled();
    expect(executor.at(2)).to.include({ preempting: false });
    executor.at(2).answer();
    await next;
  });

  it('keeps items that are more than half as long, and bulk work, waiting', async () => {
    const { modelQueue, executor } = await running();
    void modelQueue.admit(place).submit('x'.repeat(11), forever());
    void modelQueue.admit({ ...place, priority: 'bulk' }).submit('short', forever());
    await settled();
    expect(executor.runs).to.have.length(1);
  });

  it('lets interactive items into a run of bulk work that are half as long as all of it', async () => {
    const { modelQueue, executor } = await running('bulk', [long, long]);
    void modelQueue.admit(place).submit(long, forever());
    await settled();
    expect(executor.at(1)).to.include({ preempting: true });
  });

  it('lets short items of a kind go between together, but none of its own call', async () => {
    const { modelQueue, executor } = makeModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...place, items: 2 });
    void admission.submit(long, forever());
    await settled();
    void admission.submit('own', forever());
    await settled();
    expect(executor.runs).to.have.length(1);
    const other = modelQueue.admit({ ...place, items: 2 });
    for (const item of ['ab', 'cd']) void other.submit(item, forever());
    await settled();
    expect(executor.at(1).items).to.deep.equal(['ab', 'cd']);
  });

  it('makes no run longer by more than half', async () => {
    const { modelQueue, executor } = await running();
    for (let index = 0; index < 5; index += 1) void modelQueue.admit(place).submit('short', forever());
    await settled();
    executor.at(1).answer();
    await settled();
    expect(executor.runs.map(({ items }) => items.length)).to.deep.equal([1, 2]);
  });

  it('keeps short items waiting where the run is sooner over', async () => {
    const { modelQueue, executor, results } = await running();
    executor.at(0).answer(undefined, 100);
    await Promise.all(results);
    // Twenty characters take 100 ms.
    void modelQueue.admit(place).submit(long, forever());
    await settled();
    void modelQueue.admit(place).submit('short', forever());
    await settled();
    expect(executor.runs).to.have.length(2);
  });

  it('runs both again, each alone, when the worker is lost, and what has failed interrupts nothing', async () => {
    const { modelQueue, executor, results } = await running();
    const short = modelQueue.admit(place).submit('short', forever());
    await settled();
    executor.at(0).fail(new InferenceError('WORKER_LOST', 'gone'));
    executor.at(1).fail(new InferenceError('WORKER_LOST', 'gone'));
    await settled();
    expect(executor.runs).to.have.length(3);
    expect(executor.at(2)).to.include({ preempting: false });
    executor.at(2).answer();
    await settled();
    executor.at(3).answer();
    expect((await Promise.all([...results, short])).map(({ value }) => value)).to.deep.equal([
      long.toUpperCase(),
      'SHORT',
    ]);
  });

  it('counts the time of what went between once', async () => {
    const { modelQueue, executor, clock, results } = await running();
    const short = modelQueue.admit(place).submit('xxxxx', forever());
    await settled();
    clock.nowMs = 100;
    executor.at(1).answer(undefined, 100);
    await short;
    await settled();
    clock.nowMs = 500;
    executor.at(0).answer(undefined, 500);
    await Promise.all(results);
    await settled();
    // 25 characters took 500 ms, so 45 are 0.9 s, and a tenth is kept for the run; two places of a cost of 1 are open.
    modelQueue.admit({ ...place, cost: 42 });
    expect(refusal(() => modelQueue.admit({ ...place, cost: 3 })).code).to.equal('QUEUE_FULL');
  });
});
