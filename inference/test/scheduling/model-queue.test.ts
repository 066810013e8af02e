import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { createModelQueue, ManualExecutor, NEVER, refusal, request, settled } from '../support/model-queue.js';
import { errorOf } from '../support/rejection.js';

describe('ModelQueue', () => {
  it('runs an item at once when a worker is idle', async () => {
    const { modelQueue, executor, clock } = createModelQueue();
    modelQueue.addExecutor(executor);
    const done = modelQueue.admit(request).submit('one', NEVER);
    await settled();
    clock.nowMs = 5;
    executor.at(0).answer();
    expect(await done).to.deep.equal({
      value: 'ONE',
      run: { id: 1, startedAtMs: 0, queueMs: 0, runMs: 10, batchSize: 1 },
    });
  });

  it('batches the items that arrive during a run into the next one', async () => {
    const { modelQueue, executor, clock } = createModelQueue();
    modelQueue.addExecutor(executor);
    const first = modelQueue.admit(request).submit('a', NEVER);
    await settled();
    clock.nowMs = 3;
    const others = ['b', 'c', 'd'].map((item) => modelQueue.admit(request).submit(item, NEVER));
    await settled();
    expect(executor.runs).to.have.length(1);
    clock.nowMs = 10;
    executor.at(0).answer();
    await first;
    await settled();
    expect(executor.at(1).items).to.deep.equal(['b', 'c', 'd']);
    executor.at(1).answer();
    const results = await Promise.all(others);
    expect(results.map(({ value, run }) => [value, run.queueMs, run.batchSize])).to.deep.equal([
      ['B', 7, 3],
      ['C', 7, 3],
      ['D', 7, 3],
    ]);
  });

  it('divides waiting items among idle workers', async () => {
    const { modelQueue, executor } = createModelQueue();
    const second = new ManualExecutor();
    modelQueue.addExecutor(executor);
    modelQueue.addExecutor(second);
    const admission = modelQueue.admit({ ...request, items: 4 });
    for (const item of ['a', 'b', 'c', 'd']) void admission.submit(item, NEVER);
    await settled();
    expect([executor.at(0).items, second.at(0).items]).to.have.deep.members([
      ['a', 'b'],
      ['c', 'd'],
    ]);
  });

  it('assigns a single caller the worker that ran last', async () => {
    const { modelQueue, executor } = createModelQueue();
    const second = new ManualExecutor();
    modelQueue.addExecutor(executor);
    modelQueue.addExecutor(second);
    for (let call = 0; call < 3; call += 1) {
      const done = modelQueue.admit(request).submit('one', NEVER);
      await settled();
      second.at(call).answer();
      await done;
      await settled();
    }
    expect([executor.runs.length, second.runs.length]).to.deep.equal([0, 3]);
  });

  it('assigns a single caller the worker with the most threads', async () => {
    const { modelQueue } = createModelQueue();
    const [narrow, wide] = [new ManualExecutor(1), new ManualExecutor(2)];
    for (const executor of [narrow, wide]) modelQueue.addExecutor(executor);
    const both = ['one', 'other'].map((item) => modelQueue.admit(request).submit(item, NEVER));
    await settled();
    wide.at(0).answer();
    narrow.at(0).answer();
    await Promise.all(both);
    void modelQueue.admit(request).submit('next', NEVER);
    await settled();
    expect([narrow.runs.length, wide.runs.length]).to.deep.equal([1, 2]);
  });

  it('runs no item on a worker that was lost while it was idle', async () => {
    const { modelQueue, executor } = createModelQueue();
    const lost = new ManualExecutor();
    for (const worker of [executor, lost]) modelQueue.addExecutor(worker);
    modelQueue.removeExecutor(lost);
    void modelQueue.admit(request).submit('one', NEVER);
    await settled();
    expect([executor.runs.length, lost.runs.length]).to.deep.equal([1, 0]);
  });

  it('rejects an item with its own error', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 2 });
    const good = admission.submit('good', NEVER);
    const bad = admission.submit('bad', NEVER);
    await settled();
    executor.at(0).answer([
      { ok: true, value: 'fine' },
      { ok: false, error: new InferenceError('IMAGE_UNREADABLE', 'no image') },
    ]);
    expect((await good).value).to.equal('fine');
    expect((await errorOf(bad)).code).to.equal('IMAGE_UNREADABLE');
  });

  it('rejects an item for which its worker returned no outcome', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const done = modelQueue.admit(request).submit('one', NEVER);
    await settled();
    executor.at(0).answer([]);
    expect(await done.catch(({ message }: Error) => message)).to.equal('a worker returned fewer outcomes than items');
  });

  it('never runs an item that was abandoned in the queue', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    void modelQueue.admit(request).submit('running', NEVER);
    await settled();
    const caller = new AbortController();
    const abandoned = modelQueue.admit(request).submit('abandoned', caller.signal);
    caller.abort(new InferenceError('CANCELLED', 'gone'));
    expect((await errorOf(abandoned)).code).to.equal('CANCELLED');
    expect(modelQueue.waitingOf('interactive')).to.equal(0);
    executor.at(0).answer();
    await settled();
    expect(executor.runs).to.have.length(1);
  });

  it('never runs an item whose deadline passed in the queue', async () => {
    const { modelQueue, executor, clock } = createModelQueue();
    modelQueue.addExecutor(executor);
    void modelQueue.admit(request).submit('running', NEVER);
    await settled();
    const late = modelQueue.admit({ ...request, deadlineAtMs: 100 }).submit('late', NEVER);
    clock.nowMs = 200;
    executor.at(0).answer();
    expect((await errorOf(late)).code).to.equal('DEADLINE_EXCEEDED');
    expect(executor.runs).to.have.length(1);
  });

  it('rejects an aborted item immediately while it runs, and signals the worker', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const caller = new AbortController();
    const running = modelQueue.admit(request).submit('running', caller.signal);
    await settled();
    caller.abort(new InferenceError('CANCELLED', 'gone'));
    expect((await errorOf(running)).code).to.equal('CANCELLED');
    expect(executor.at(0).signals[0]?.aborted).to.equal(true);
  });

  it('throws STARTING before the first worker, and WORKER_LOST after the last one', () => {
    const { modelQueue, executor } = createModelQueue();
    expect(refusal(() => modelQueue.admit(request)).code).to.equal('STARTING');
    modelQueue.addExecutor(executor);
    modelQueue.removeExecutor(executor);
    expect(refusal(() => modelQueue.admit(request))).to.include({ code: 'WORKER_LOST', retryAfterMs: 1000 });
  });

  it('tells a caller to come back when a worker is ready, not after a second of a long pause', () => {
    const { modelQueue, executor } = createModelQueue({ readyInMs: () => 25_000 });
    modelQueue.addExecutor(executor);
    modelQueue.removeExecutor(executor);
    expect(refusal(() => modelQueue.admit(request))).to.include({ code: 'WORKER_LOST', retryAfterMs: 25_000 });
  });

  it('rejects all items when closed', async () => {
    const { modelQueue } = createModelQueue();
    const executor = new ManualExecutor();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 2 });
    void admission.submit('running', NEVER);
    await settled();
    const waiting = admission.submit('waiting', NEVER);
    modelQueue.close(new InferenceError('DRAINING', 'closing'));
    expect((await errorOf(waiting)).code).to.equal('DRAINING');
    expect((await errorOf(admission.submit('new', NEVER))).code).to.equal('DRAINING');
    expect(refusal(() => modelQueue.admit(request)).code).to.equal('DRAINING');
  });
});
