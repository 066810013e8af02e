import net from 'node:net';
import { expect } from 'chai';
import { createInferenceClient } from '../src/index.js';
import { failureOf } from './support/failure-of.js';
import { startFakeInference } from './support/fake-inference.js';
import { listen } from './support/listen.js';

/** A proxy that can drop all bytes without closing its connections, like an unplugged cable. */
async function startCable(target: string) {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<net.Socket>();
  let cut = false;
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('data', (bytes) => {
        if (!cut) to.write(bytes);
      });
      from.on('close', () => {
        if (!cut) to.destroy();
      });
    }
  });
  return {
    address: await listen(server),
    cut: () => {
      cut = true;
    },
    restore: () => {
      cut = false;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describe('a connection that goes silent', () => {
  it('is detected by keepalive long before the deadline, and reopened for the next call', async () => {
    const fake = await startFakeInference();
    const cable = await startCable(fake.address);
    const client = createInferenceClient({
      address: cable.address,
      keepaliveTimeMs: 50,
      keepaliveTimeoutMs: 500,
      retry: { maxAttempts: 1 },
    });
    try {
      await client.embedText(['1,0']);
      cable.cut();
      const error = await failureOf(client.embedText(['1,0'], { timeoutMs: 60_000 }));
      expect(error).to.include({ code: 'UNAVAILABLE', method: 'EmbedText', attempts: 1 });
      cable.restore();
      const { results } = await client.embedText(['0,1']);
      expect(results).to.have.length(1);
    } finally {
      client.close();
      cable.close();
      await fake.close();
    }
  });
});
