import { execFile } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { startSilentServer } from './support/silent-server.js';

const CLIENT = new URL('../src/index.js', import.meta.url).href;

/** Calls servers until the time to connect is over, and closes the clients. */
const CALLER = `
import { createInferenceClient } from ${JSON.stringify(CLIENT)};
for (const address of process.argv.slice(1)) {
  const client = createInferenceClient({ address, connectTimeoutMs: 100, retry: { maxAttempts: 1 } });
  await client.getServerInfo().catch((error) => console.log(error.reason));
  client.close();
}
`;

describe('close()', () => {
  it('ends a TLS handshake and an HTTP/2 connection that the server does not answer, and the process exits', async () => {
    const { sockets, address, close } = await startSilentServer();
    try {
      const args = ['--input-type=module', '--eval', CALLER, `https://${address}`, `http://${address}`];
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 30_000 });
      expect(stdout).to.equal('UNREACHABLE\nUNREACHABLE\n');
      expect(sockets).to.have.lengthOf.above(1);
    } finally {
      close();
    }
  });

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
