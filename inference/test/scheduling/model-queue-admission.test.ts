import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { moonshineSpec } from '../../src/models/moonshine/spec.js';
import { whisperSpec } from '../../src/models/whisper/spec.js';
import { createModelQueue, measure, NEVER, refusal, request, settled } from '../support/model-queue.js';

describe('ModelQueue admission', () => {
  it('refuses a call above the item limit immediately, with a retry delay', () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    modelQueue.admit({ ...request, items: 10 });
    const error = refusal(() => modelQueue.admit(request));
    expect(error.code).to.equal('QUEUE_FULL');
    expect(error.retryAfterMs).to.be.greaterThan(0);
  });

  it('refuses work whose estimated wait exceeds the limit', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    // 5 characters took 100 ms: 45 and the run reserve fit into the limit of one second.
    modelQueue.admit({ ...request, cost: 45 });
    const error = refusal(() => modelQueue.admit({ ...request, cost: 25 }));
    expect(error.code).to.equal('QUEUE_FULL');
    expect(error.retryAfterMs).to.equal(500);
  });

  it('tells a caller to come back when enough of the others is done, however little work his own call is', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    modelQueue.admit({ ...request, items: 10, cost: 40 });
    // 40 take 800 ms: five of ten items half of it, and when all are done any call is admitted.
    expect(refusal(() => modelQueue.admit({ ...request, items: 5 })).retryAfterMs).to.equal(400);
    expect(refusal(() => modelQueue.admit({ ...request, cost: 1000 })).retryAfterMs).to.equal(800);
  });

  it('says that a call larger than the limits is to be divided: it fits only while no other is admitted', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    modelQueue.admit(request);
    for (const large of [
      { items: 1, cost: 100 },
      { items: 11, cost: 11 },
    ]) {
      expect(refusal(() => modelQueue.admit({ ...request, ...large })).message).to.include(
        'divide it into smaller ones',
      );
    }
    expect(refusal(() => modelQueue.admit({ ...request, items: 10, cost: 10 })).message).to.include('Retry later.');
  });

  it('counts only interactive work against an interactive call, and all work against a bulk call', async () => {
    const refused: string[] = [];
    const { modelQueue, executor } = createModelQueue({
      observer: { refused: (priority) => void refused.push(priority) },
    });
    modelQueue.addExecutor(executor);
    const bulk = { ...request, priority: 'bulk' } as const;
    await measure({ modelQueue, executor }, '1', 100);
    // A cost of 1 takes 100 ms: nine items of 0.1 s, and a tenth of the limit of one second as a reserve.
    modelQueue.admit({ ...bulk, items: 9, cost: 9 });
    expect(refusal(() => modelQueue.admit(bulk)).message).to.include('full for bulk calls: 9 items');
    expect(modelQueue.refusal('bulk')?.code).to.equal('QUEUE_FULL');
    expect(modelQueue.refusal('interactive')).to.equal(undefined);
    const interactive = modelQueue.admit({ ...request, items: 9, cost: 9 });
    expect(refusal(() => modelQueue.admit(request)).message).to.include('is full: 9 items');
    expect(modelQueue.refusal('interactive')?.code).to.equal('QUEUE_FULL');
    expect(refused).to.deep.equal(['bulk', 'bulk', 'interactive', 'interactive']);
    interactive.close();
    modelQueue.admit(request).close();
    expect(refusal(() => modelQueue.admit(bulk)).message).to.include('full for bulk calls: 9 items');
  });

  it('estimates waits from the time that a worker was busy, with the transfer to it and back', async () => {
    const { modelQueue, executor, clock } = createModelQueue();
    modelQueue.addExecutor(executor);
    clock.nowMs = 1000;
    const first = modelQueue.admit(request);
    const done = first.submit('12345', NEVER);
    await settled();
    clock.nowMs = 1100;
    executor.at(0).answer(undefined, 10);
    await done;
    first.close();
    modelQueue.admit({ ...request, cost: 45 });
    expect(refusal(() => modelQueue.admit({ ...request, cost: 25 })).retryAfterMs).to.equal(500);
  });

  it('does not refuse calls after a pause of the machine in a run', async () => {
    const { modelQueue, executor } = createModelQueue({ limits: { maxItems: 100, maxWaitMs: 30_000 } });
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '1', 100);
    await measure({ modelQueue, executor }, '1', 3_600_000);
    modelQueue.admit(request);
    expect(() => modelQueue.admit(request)).not.to.throw();
  });

  it('does not refuse calls for a first run that was slow, as on a machine that still starts other programs', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '1', 2000);
    await measure({ modelQueue, executor }, '1', 10);
    modelQueue.admit(request);
    expect(() => modelQueue.admit({ ...request, cost: 50 })).not.to.throw();
  });

  it('counts the whole time of a run that takes up to ten times as long as expected', async () => {
    const { modelQueue, executor } = createModelQueue({ limits: { maxItems: 100, maxWaitMs: 10_000 } });
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '1', 1000);
    await measure({ modelQueue, executor }, '1', 9000);
    modelQueue.admit(request);
    // About 5 s each, and 1 s as a reserve.
    expect(refusal(() => modelQueue.admit(request)).retryAfterMs).to.be.within(1000, 1500);
  });

  it('counts an item once that is answered before the others of its run', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit(request);
    const done = admission.submit('12345', NEVER);
    await settled();
    executor.at(0).settle(0);
    executor.at(0).answer(undefined, 100);
    await done;
    await settled();
    admission.close();
    modelQueue.admit({ ...request, cost: 45 });
    expect(refusal(() => modelQueue.admit({ ...request, cost: 25 })).retryAfterMs).to.equal(500);
  });

  it('estimates waits from the items that a run answered: refused ones take no time', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    const admission = modelQueue.admit({ ...request, items: 2 });
    for (const others of [[], ['12345']]) {
      const done = ['broken', ...others].map((item) => admission.submit(item, NEVER).catch(() => undefined));
      await settled();
      const failure = { ok: false, error: new InferenceError('IMAGE_UNREADABLE', 'broken') } as const;
      executor.at(-1).answer([failure, ...others.map((value) => ({ ok: true, value }) as const)], others.length * 100);
      await Promise.all(done);
    }
    admission.close();
    modelQueue.admit({ ...request, cost: 45 });
    expect(refusal(() => modelQueue.admit({ ...request, cost: 25 })).retryAfterMs).to.equal(500);
  });

  it('estimates waits without windows that are only listened to, which take a part of what they cost', async () => {
    const window = { type: 'vad', samples: new Float32Array(16), state: undefined } as const;
    for (const { typical } of [whisperSpec, moonshineSpec]) {
      const { modelQueue, executor } = createModelQueue({
        typical: (item) => item !== 'vad' || typical?.(window) !== false,
      });
      modelQueue.addExecutor(executor);
      await measure({ modelQueue, executor }, '12345', 100);
      await measure({ modelQueue, executor }, 'vad', 1);
      modelQueue.admit({ ...request, cost: 45 });
      expect(refusal(() => modelQueue.admit({ ...request, cost: 25 })).retryAfterMs).to.equal(500);
    }
  });

  it('admits a call above the limits while nothing else is admitted', () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    expect(() => modelQueue.admit({ ...request, items: 1000 })).not.to.throw();
  });

  it('estimates work of unknown cost by the usual cost', async () => {
    const { modelQueue, executor } = createModelQueue({
      cost: (item) => Number(item),
      limits: { maxItems: 100, maxWaitMs: 1000 },
    });
    modelQueue.addExecutor(executor);
    const unknown = { ...request, cost: undefined };
    await measure({ modelQueue, executor }, '3', 300, unknown);
    // A cost of 1 takes 100 ms and the usual cost is 3: a fourth call would make it 1.2 s.
    const admissions = [modelQueue.admit(unknown), modelQueue.admit(unknown), modelQueue.admit(unknown)];
    expect(refusal(() => modelQueue.admit(unknown)).code).to.equal('QUEUE_FULL');
    // One of them turns out to be short.
    void admissions[0]?.submit('0.5', NEVER);
    modelQueue.admit(unknown).close();
    for (const open of admissions) open.close();
  });

  it('counts all queued items of a call of unknown cost', async () => {
    const { modelQueue, executor } = createModelQueue({
      cost: (item) => Number(item),
      limits: { maxItems: 100, maxWaitMs: 1000 },
    });
    modelQueue.addExecutor(executor);
    const audioFile = modelQueue.admit({ ...request, cost: undefined });
    const first = audioFile.submit('3', NEVER);
    await settled();
    executor.at(0).answer(undefined, 300);
    await first;
    // A cost of 1 takes 100 ms: three items are 0.9 s, and another call would make it 1.2 s.
    const three = ['3', '3', '3'].map((item) => audioFile.submit(item, NEVER));
    expect(refusal(() => modelQueue.admit({ ...request, cost: undefined })).code).to.equal('QUEUE_FULL');
    await settled();
    executor.at(1).answer(undefined, 900);
    await Promise.all(three);
    modelQueue.admit({ ...request, cost: undefined }).close();
    // While it has none queued, its last one counts.
    expect(refusal(() => modelQueue.admit({ ...request, cost: 7 })).code).to.equal('QUEUE_FULL');
    audioFile.close();
  });

  it('counts the items of a call only until each is finished, whether or not it succeeded', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    // 5 characters take 100 ms: with the reserve for a run, the call fills the second that is the limit.
    const large = modelQueue.admit({ ...request, items: 9, cost: 45 });
    const first = ['good', 'broken'].map((word) => large.submit(word.padEnd(20), NEVER).catch(() => undefined));
    expect(refusal(() => modelQueue.admit({ ...request, cost: 5 })).retryAfterMs).to.equal(100);
    await settled();
    const failure = { ok: false, error: new InferenceError('IMAGE_UNREADABLE', 'broken') } as const;
    executor.at(-1).answer([{ ok: true, value: '' }, failure], 400);
    await Promise.all(first);
    // 5 are left.
    modelQueue.admit({ ...request, cost: 35 }).close();
    expect(refusal(() => modelQueue.admit({ ...request, cost: 50 })).code).to.equal('QUEUE_FULL');
    expect(refusal(() => modelQueue.admit({ ...request, items: 4 })).message).to.include('full: 7 items');
    large.close();
    modelQueue.admit({ ...request, items: 10, cost: 45 });
    expect(refusal(() => modelQueue.admit(request)).message).to.include('full: 10 items');
  });

  it('refuses an unknown request only if even a small one would not fit', async () => {
    const { modelQueue, executor } = createModelQueue({
      cost: (item) => Number(item),
      limits: { maxItems: 100, maxWaitMs: 1000 },
    });
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '1', 100, { ...request, cost: undefined });
    // A cost of 6 is 0.6 s: another such call would make it 1.2 s, a usual one would not.
    void modelQueue.admit({ ...request, cost: undefined }).submit('6', NEVER);
    expect(modelQueue.refusal('interactive')).to.equal(undefined);
    // Among items of known cost, the small ones count.
    modelQueue.admit({ ...request, items: 3, cost: 1.5 });
    expect(modelQueue.refusal('interactive')).to.equal(undefined);
    const other = modelQueue.admit({ ...request, cost: 1.5 });
    expect(modelQueue.refusal('interactive')?.code).to.equal('QUEUE_FULL');
    other.close();
    expect(modelQueue.refusal('interactive')).to.equal(undefined);
    // Small ones have stopped arriving.
    for (let call = 0; call < 100; call += 1) refusal(() => modelQueue.admit({ ...request, cost: 2 }));
    expect(modelQueue.refusal('interactive')?.code).to.equal('QUEUE_FULL');
  });

  it('refuses no unknown request for its queue while the model is not ready: admit says why', () => {
    const full = () => {
      const { modelQueue, executor } = createModelQueue();
      modelQueue.addExecutor(executor);
      modelQueue.admit({ ...request, items: 10 });
      expect(modelQueue.refusal('interactive')?.code).to.equal('QUEUE_FULL');
      return { modelQueue, executor };
    };
    const lost = full();
    lost.modelQueue.removeExecutor(lost.executor);
    expect(lost.modelQueue.refusal('interactive')).to.equal(undefined);
    const closed = full();
    closed.modelQueue.close(new InferenceError('DRAINING', 'closing'));
    expect(closed.modelQueue.refusal('interactive')).to.equal(undefined);
  });

  it('releases what a call holds, and not the work of the others', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    await measure({ modelQueue, executor }, '12345', 100);
    const first = modelQueue.admit({ ...request, cost: 25 });
    modelQueue.admit({ ...request, cost: 15 });
    first.close();
    expect(refusal(() => modelQueue.admit({ ...request, cost: 45 })).retryAfterMs).to.equal(300);
  });

  it('releases capacity once when a call is closed repeatedly', () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const admission = modelQueue.admit({ ...request, items: 10 });
    admission.close();
    admission.close();
    modelQueue.admit({ ...request, items: 10 });
    expect(refusal(() => modelQueue.admit(request)).message).to.include('is full: 10 items');
  });
});
