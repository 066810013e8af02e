import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { createInferenceClient } from '../../src/index.js';
import { failureOf } from '../support/failure-of.js';

const BIN = fileURLToPath(new URL('../../../bin/heimdex.js', import.meta.url));
const execute = promisify(execFile);

describe('heimdex with a server that accepts connections but never responds', () => {
  let silent: Server;
  let address: string;
  const sockets = new Set<Socket>();
  before(async () => {
    silent = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
    });
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    address = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('fails a stream at the timeout, on the first attempt', async () => {
    const client = createInferenceClient({ address, retry: { maxAttempts: 4, initialDelayMs: 1 } });
    try {
      const error = await failureOf(client.transcribeStream(() => [new Uint8Array(9)], { timeoutMs: 50 }).next());
      expect(error).to.include({ reason: 'UNREACHABLE', attempts: 1 });
    } finally {
      client.close();
    }
  });

  for (const scheme of ['', 'https://']) {
    it(`exits although the connection is open: ${scheme || 'plain'}`, async () => {
      const args = ['transcribe', BIN, '--timeout', '0.2', '-a', `${scheme}${address}`];
      const { code, stderr } = await execute(process.execPath, [BIN, ...args]).then(
        () => ({ code: 0, stderr: '' }),
        (error: { readonly code: number; readonly stderr: string }) => error,
      );
      expect(stderr).to.match(/^heimdex: 127\.0\.0\.1:\d+ cannot be reached: no connection within 0\.\d s\n/);
      expect(code).to.equal(3);
    });
  }
});
