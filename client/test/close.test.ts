import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { startSilentServer } from './support/silent-server.js';

const CLIENT = new URL('../src/index.js', import.meta.url).href;

/** Calls a server until the time to connect is over, and closes the client. */
const CALLER = `
import { createInferenceClient } from ${JSON.stringify(CLIENT)};
const client = createInferenceClient({ address: process.argv[1], connectTimeoutMs: 100, retry: { maxAttempts: 1 } });
await client.getServerInfo().catch((error) => console.log(error.reason));
client.close();
`;

describe('close()', () => {
  for (const [what, scheme] of [
    ['a TLS handshake', 'https'],
    ['an HTTP/2 connection', 'http'],
  ] as const) {
    it(`ends ${what} that the server does not answer, and the process exits`, async () => {
      const { sockets, address, close } = await startSilentServer();
      try {
        const args = ['--input-type=module', '--eval', CALLER, `${scheme}://${address}`];
        const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
        expect(stdout).to.equal('UNREACHABLE\n');
        expect(sockets).to.not.be.empty;
      } finally {
        close();
      }
    });
  }

  it('is seen by a server that has not answered the TLS handshake', async () => {
    const { createInferenceClient } = await import('../src/index.js');
    const { server, address, close } = await startSilentServer();
    const client = createInferenceClient({ address: `https://${address}` });
    const accepted = once(server, 'connection');
    const call = client.getServerInfo().catch(() => undefined);
    const [socket]: Socket[] = await accepted;
    const closed = once(socket ?? server, 'close');
    client.close();
    await Promise.all([call, closed]);
    close();
  });
});
