import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { IdleTimer } from '../../src/process/idle-timer.js';

/** Blocks this thread, as SIGSTOP or a paused container does. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('an idle timeout', () => {
  it('does not end a peer whose data came during a stall', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const peer = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    const [accepted] = (await once(server, 'connection')) as [net.Socket];
    try {
      const first = await new Promise<string>((resolve) => {
        const timer = new IdleTimer(20, () => resolve('expired'));
        accepted.once('data', () => {
          timer.clear();
          resolve('data');
        });
        // Both at once: the data is in the socket before it can be read.
        setImmediate(() => {
          peer.write('x');
          stall(200);
        });
      });
      expect(first).to.equal('data');
    } finally {
      peer.destroy();
      accepted.destroy();
      server.close();
    }
  });

  it('ends a peer that stays silent after the stall', async () => {
    await new Promise<void>((resolve) => {
      new IdleTimer(20, resolve);
      stall(200);
    });
  });
});
