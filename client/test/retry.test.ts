import { expect } from 'chai';
import { InferenceClientError } from '../src/errors.js';
import { DEFAULT_RETRY, RetryBudget, retryDelayMs } from '../src/retry.js';

const unavailable = new InferenceClientError('UNAVAILABLE', 'draining');
const full = new InferenceClientError('RESOURCE_EXHAUSTED', 'full', { retryAfterMs: 400 });

describe('retries', () => {
  it('back off exponentially with full jitter up to the maximum delay', () => {
    expect(retryDelayMs(unavailable, 1, DEFAULT_RETRY, 0)).to.equal(0);
    expect(retryDelayMs(unavailable, 1, DEFAULT_RETRY, 1)).to.equal(200);
    expect(retryDelayMs(unavailable, 3, DEFAULT_RETRY, 1)).to.equal(800);
    expect(retryDelayMs(unavailable, 9, { ...DEFAULT_RETRY, maxAttempts: 99 }, 1)).to.equal(5_000);
  });

  it("wait for the server's requested delay plus jitter", () => {
    expect(retryDelayMs(full, 1, DEFAULT_RETRY, 0)).to.equal(400);
    expect(retryDelayMs(full, 1, DEFAULT_RETRY, 1)).to.equal(480);
  });

  it('end after the last attempt', () => {
    expect(retryDelayMs(unavailable, 5, DEFAULT_RETRY, 1)).to.equal(undefined);
  });

  it('are not made for permanent errors', () => {
    expect(retryDelayMs(new InferenceClientError('INVALID_ARGUMENT', 'empty'), 1, DEFAULT_RETRY, 1)).to.equal(
      undefined,
    );
    expect(retryDelayMs(new InferenceClientError('RESOURCE_EXHAUSTED', 'too large'), 1, DEFAULT_RETRY, 1)).to.equal(
      undefined,
    );
    for (const reason of ['CLOSED', 'WORKER_LOST_TWICE', 'PROXY_TIMEOUT']) {
      const final = new InferenceClientError('UNAVAILABLE', 'not again', { reason });
      expect(retryDelayMs(final, 1, DEFAULT_RETRY, 1)).to.equal(undefined);
    }
  });

  it('stop when half of the budget is used, and resume after successes', () => {
    const budget = new RetryBudget(5);
    expect([1, 2, 3, 4, 5].map(() => budget.recordFailure())).to.deep.equal([true, true, true, true, false]);
    for (let success = 0; success < 20; success += 1) budget.recordSuccess();
    expect(budget.recordFailure()).to.equal(true);
  });

  it('of one call may be as many as asked for', () => {
    const budget = new RetryBudget(30);
    for (let attempt = 1; attempt < 30; attempt += 1) expect(budget.recordFailure()).to.equal(true);
    expect(new RetryBudget(Number.POSITIVE_INFINITY).recordFailure()).to.equal(true);
  });
});
