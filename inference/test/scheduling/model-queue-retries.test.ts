import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { createModelQueue, ManualExecutor, NEVER, request, settled } from '../support/model-queue.js';
import { errorOf } from '../support/rejection.js';

describe('ModelQueue after a failed run', () => {
  it('retries the items of a lost worker alone, before waiting items', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 3 });
    const results = ['a', 'b'].map((item) => admission.submit(item, NEVER));
    await settled();
    const waiting = admission.submit('c', NEVER);
    modelQueue.removeExecutor(executor);
    executor.at(0).fail(new InferenceError('WORKER_LOST', 'gone'));
    await settled();
    const next = new ManualExecutor();
    modelQueue.addExecutor(next);
    const order: string[] = [];
    for (let index = 0; index < 3; index += 1) {
      await settled();
      order.push(next.at(index).items.join());
      next.at(index).answer();
    }
    expect(order).to.have.members(['a', 'b', 'c']);
    expect(order[2]).to.equal('c');
    expect((await Promise.all([...results, waiting])).map(({ value }) => value)).to.deep.equal(['A', 'B', 'C']);
  });

  it('isolates the bad item of a failed batch', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 2 });
    const good = admission.submit('good', NEVER);
    const bad = admission.submit('bad', NEVER).catch((error: unknown) => error);
    await settled();
    executor.at(0).fail(new Error('the batch failed'));
    for (let index = 1; index < 3; index += 1) {
      await settled();
      const run = executor.at(index);
      expect(run.items).to.have.length(1);
      if (run.items[0] === 'bad') run.fail(new Error('this one'));
      else run.answer();
    }
    expect((await good).value).to.equal('GOOD');
    expect(await bad).to.include({ message: 'this one' });
  });

  it('does not retry an item whose run failed although it was alone in it', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const bad = modelQueue.admit(request).submit('bad', NEVER);
    await settled();
    executor.at(0).fail(new InferenceError('IMAGE_UNREADABLE', 'this one'));
    expect(await errorOf(bad)).to.include({ code: 'IMAGE_UNREADABLE', message: 'this one' });
    expect([executor.runs.length, modelQueue.waitingOf('interactive')]).to.deep.equal([1, 0]);
  });

  it('delivers an outcome before the others of its run', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 2 });
    const [first, second] = ['a', 'b'].map((item) => admission.submit(item, NEVER));
    await settled();
    executor.at(0).settle(1);
    expect(await second).to.deep.equal({
      value: 'b early',
      run: { id: 1, startedAtMs: 0, queueMs: 0, runMs: 3, batchSize: 2 },
    });
    executor.at(0).answer();
    expect((await first)?.value).to.equal('A');
    expect((await second)?.value).to.equal('b early');
  });

  it('does not retry items settled before their worker was lost', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 3 });
    const results = ['a', 'b', 'c'].map((item) => admission.submit(item, NEVER));
    await settled();
    executor.at(0).settle(0);
    executor.at(0).fail(new InferenceError('WORKER_LOST', 'gone'));
    for (const index of [1, 2]) {
      await settled();
      executor.at(index).answer();
    }
    expect((await Promise.all(results)).map(({ value }) => value)).to.deep.equal(['a early', 'B', 'C']);
    expect(executor.runs.slice(1).flatMap(({ items }) => items)).to.have.members(['b', 'c']);
  });

  it('rejects an item that lost two workers', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const poison = modelQueue.admit(request).submit('poison', NEVER);
    await settled();
    executor.at(0).fail(new InferenceError('WORKER_LOST', 'gone'));
    await settled();
    executor.at(1).fail(new InferenceError('WORKER_LOST', 'gone'));
    expect((await errorOf(poison)).code).to.equal('WORKER_LOST_TWICE');
    expect(executor.runs.map(({ poisonSuspect }) => poisonSuspect)).to.deep.equal([false, true]);
  });

  for (const when of ['before', 'after']) {
    it(`does not retry an item of a lost worker that is aborted ${when} the loss`, async () => {
      const { modelQueue, executor } = createModelQueue();
      modelQueue.addExecutor(executor);
      const caller = new AbortController();
      const gone = modelQueue.admit(request).submit('gone', caller.signal);
      const code = errorOf(gone).then((error) => error.code);
      await settled();
      const abort = () => caller.abort(new InferenceError('CANCELLED', 'gone'));
      if (when === 'before') abort();
      modelQueue.removeExecutor(executor);
      executor.at(0).fail(new InferenceError('WORKER_LOST', 'lost'));
      await settled();
      if (when === 'after') abort();
      expect(await code).to.equal('CANCELLED');
      expect(modelQueue.waitingOf('interactive')).to.equal(0);
    });
  }
});
