import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { createModelQueue, refusal, request, settled } from '../support/model-queue.js';

describe('ModelQueue during a long run', () => {
  const long = 'x'.repeat(20);
  const forever = () => new AbortController().signal;
  const running = async (priority: 'interactive' | 'bulk' = 'interactive', items = [long]) => {
    const runMs: number[] = [];
    const { modelQueue, executor, clock } = createModelQueue({
      limits: { maxItems: 100, maxWaitMs: 1000 },
      observer: { batch: (facts) => runMs.push(facts.runMs) },
    });
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, priority, items: items.length });
    const results = items.map((item) => admission.submit(item, forever()));
    await settled();
    return { modelQueue, executor, clock, results, runMs };
  };

  it('preempts the run with a short item, and starts the next run after both', async () => {
    const { modelQueue, executor, results } = await running();
    const short = modelQueue.admit(request).submit('short', forever());
    const next = modelQueue.admit(request).submit(long, forever());
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

  it('does not preempt for items longer than half of the run, or for bulk work', async () => {
    const { modelQueue, executor } = await running();
    void modelQueue.admit(request).submit('x'.repeat(11), forever());
    void modelQueue.admit({ ...request, priority: 'bulk' }).submit('short', forever());
    await settled();
    expect(executor.runs).to.have.length(1);
  });

  it('does not preempt the run of several interactive items for one longer than half of each', async () => {
    const { modelQueue, executor } = await running('interactive', [long, long, long]);
    void modelQueue.admit(request).submit('x'.repeat(11), forever());
    await settled();
    expect(executor.runs).to.have.length(1);
  });

  it('preempts a bulk run with interactive items up to half of its total cost', async () => {
    const { modelQueue, executor } = await running('bulk', [long, long]);
    void modelQueue.admit(request).submit(long, forever());
    await settled();
    expect(executor.at(1)).to.include({ preempting: true });
  });

  it('preempts with a batch of short items, but not of its own call', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 2 });
    void admission.submit(long, forever());
    await settled();
    void admission.submit('own', forever());
    await settled();
    expect(executor.runs).to.have.length(1);
    const other = modelQueue.admit({ ...request, items: 2 });
    for (const item of ['ab', 'cd']) void other.submit(item, forever());
    await settled();
    expect(executor.at(1).items).to.deep.equal(['ab', 'cd']);
  });

  it('extends no run by more than half', async () => {
    const { modelQueue, executor } = await running();
    for (let index = 0; index < 5; index += 1) void modelQueue.admit(request).submit('short', forever());
    await settled();
    executor.at(1).answer();
    await settled();
    expect(executor.runs.map(({ items }) => items.length)).to.deep.equal([1, 2]);
  });

  it('does not preempt short runs', async () => {
    const { modelQueue, executor, results } = await running();
    executor.at(0).answer(undefined, 100);
    await Promise.all(results);
    // Twenty characters take 100 ms.
    void modelQueue.admit(request).submit(long, forever());
    await settled();
    void modelQueue.admit(request).submit('short', forever());
    await settled();
    expect(executor.runs).to.have.length(2);
  });

  it('retries both items alone after a lost worker, without preempting', async () => {
    const { modelQueue, executor, results } = await running();
    const short = modelQueue.admit(request).submit('short', forever());
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

  for (const fails of [false, true]) {
    it(`counts the time of preempting items once, ${fails ? 'also of those that fail' : 'in their own run'}`, async () => {
      const { modelQueue, executor, clock, results, runMs } = await running();
      clock.nowMs = 50;
      const short = modelQueue.admit(request).submit('xxxxx', forever());
      await settled();
      clock.nowMs = 150;
      if (fails) executor.at(1).fail(new InferenceError('IMAGE_UNREADABLE', 'this one'));
      else executor.at(1).answer(undefined, 100);
      await short.catch(() => undefined);
      await settled();
      clock.nowMs = 500;
      executor.at(0).answer(undefined, 500);
      await Promise.all(results);
      await settled();
      expect(runMs).to.deep.equal(fails ? [400] : [100, 400]);
      // 20 characters took 400 ms, so 45 are 0.9 s, and a tenth is reserved for the run.
      for (const cost of [1, 43]) modelQueue.admit({ ...request, cost });
      expect(refusal(() => modelQueue.admit({ ...request, cost: 3 })).code).to.equal('QUEUE_FULL');
    });
  }
});
