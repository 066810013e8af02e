import { expect } from 'chai';
import type { Priority } from '../../src/priority.js';
import { Semaphore } from '../../src/semaphore.js';

describe('a permit', () => {
  /** The order in which these get the only permit, all of which wait for it. */
  async function orderOf(priorities: readonly Priority[]): Promise<readonly Priority[]> {
    const semaphore = new Semaphore(1);
    const first = await semaphore.acquire();
    const order: Priority[] = [];
    const all = priorities.map(async (priority) => {
      const release = await semaphore.acquire(undefined, priority);
      order.push(priority);
      release();
    });
    first();
    await Promise.all(all);
    return order;
  }

  it('goes to interactive calls before bulk ones', async () => {
    expect(await orderOf(['bulk', 'bulk', 'interactive', 'bulk', 'interactive'])).to.deep.equal([
      ...['interactive', 'interactive'],
      ...['bulk', 'bulk', 'bulk'],
    ]);
  });

  it('goes to a bulk call after every eight interactive ones', async () => {
    const order = await orderOf(['bulk', 'bulk', ...Array<Priority>(20).fill('interactive')]);
    expect([order.indexOf('bulk'), order.lastIndexOf('bulk')]).to.deep.equal([8, 17]);
  });

  it('that is not waited for any more goes to the next', async () => {
    const semaphore = new Semaphore(1);
    const first = await semaphore.acquire();
    const gone = new AbortController();
    const waiting = semaphore.acquire(gone.signal, 'bulk').catch((error: unknown) => error);
    const next = semaphore.acquire(undefined, 'bulk');
    gone.abort(new Error('gone'));
    first();
    expect(await waiting).to.be.instanceOf(Error);
    (await next)();
  });
});
