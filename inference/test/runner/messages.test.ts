import { expect } from 'chai';
import { parseFromWorker } from '../../src/runner/messages.js';

const BATCHING = { shared: true, maxItems: 8, reason: 'made up' };
const READY = {
  type: 'ready',
  facts: { dimensions: 2, batching: BATCHING },
  graphs: [{ graph: 'model.onnx', prepared: false }],
  loadMs: 1.5,
  warmUpMs: 2,
};
const OUTCOME = { ok: false, code: 'QUEUE_FULL', message: 'full', field: undefined, retryAfterMs: 10 };
const RESULT = { type: 'result', id: 1, outcomes: [{ ok: true, value: {} }, null, OUTCOME], runMs: 3 };
const SETTLED = { index: 0, outcome: OUTCOME, runMs: 1 };
const PROGRESS = { type: 'progress', id: 1, settled: [SETTLED] };

describe('a message from a worker', () => {
  it('is accepted with all that its type has', () => {
    const messages = [READY, RESULT, PROGRESS, { type: 'loading' }, { type: 'pong' }];
    for (const message of messages) expect(parseFromWorker(message)).to.equal(message);
  });

  it('is refused where the server would fail at it, or count with it', () => {
    const outcomes = [{ message: {} }, { field: {} }, { retryAfterMs: Number.NaN }, { cause: {} }, { code: 'OTHER' }];
    const broken = [
      undefined,
      null,
      { type: 'toString' },
      { ...READY, facts: { dimensions: 2, batching: null } },
      { ...READY, facts: { dimensions: 2, batching: { ...BATCHING, maxItems: 'x' } } },
      { ...READY, facts: { dimensions: -1.5, batching: BATCHING } },
      { ...READY, graphs: [null] },
      { ...READY, loadMs: undefined },
      { ...RESULT, runMs: Number.NaN },
      { ...RESULT, runMs: undefined },
      ...outcomes.map((fields) => ({ ...RESULT, outcomes: [{ ...OUTCOME, ...fields }] })),
      { ...PROGRESS, settled: [null] },
      { ...PROGRESS, settled: [{ ...SETTLED, runMs: Number.NaN }] },
      { ...PROGRESS, settled: [{ ...SETTLED, outcome: null }] },
    ];
    for (const message of broken) {
      expect(() => parseFromWorker(message), JSON.stringify(message)).to.throw(/^invalid message from worker: /);
    }
  });
});
