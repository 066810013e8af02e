import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import { runBatch } from '../../src/services/batch.js';
import type { Call, CallStats } from '../../src/services/call.js';
import type { ServedModel } from '../../src/services/engine.js';
import { toWireError } from '../../src/services/errors.js';
import { createModelQueue, NEVER, settled } from '../support/model-queue.js';

describe('a call of several batches, such as texts and images', () => {
  it('counts the items and the errors of all of them', async () => {
    const { modelQueue, executor } = createModelQueue();
    modelQueue.addExecutor(executor);
    const model = { modelQueue } as unknown as ServedModel;
    const stats: CallStats = {};
    const others = { id: 'call', host: 'host', deadlineAtMs: Number.POSITIVE_INFINITY, wireError: toWireError };
    const call: Call = { ...others, signal: NEVER, priority: 'interactive', stats };
    const failed = { ok: false, error: new InferenceError('TEXT_TOO_LONG', 'too long') } as const;
    for (const outcomes of [[failed, { ok: true, value: 'B' }], [failed]] as const) {
      const batch = runBatch(model, ['a', 'b'].slice(0, outcomes.length), call);
      await settled();
      executor.at(-1).answer(outcomes);
      await batch;
    }
    expect(stats).to.deep.include({ items: 3, itemErrors: 2, itemErrorReasons: { TEXT_TOO_LONG: 2 } });
  });
});
