import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { createInferenceClient } from '../../src/index.js';
import { failureOf } from '../support/failure-of.js';
import { startSilentServer } from '../support/silent-server.js';

const BIN = fileURLToPath(new URL('../../../bin/heimdex.js', import.meta.url));
const execute = promisify(execFile);

describe('heimdex with a server that accepts connections but never responds', () => {
  let silent: Awaited<ReturnType<typeof startSilentServer>>;
  before(async () => {
    silent = await startSilentServer();
  });
  after(() => silent.close());

  it('fails a stream at the timeout, on the first attempt', async () => {
    const client = createInferenceClient({ address: silent.address, retry: { maxAttempts: 4, initialDelayMs: 1 } });
    try {
      const error = await failureOf(client.transcribeStream(() => [new Uint8Array(9)], { timeoutMs: 50 }).next());
      expect(error).to.include({ reason: 'UNREACHABLE', attempts: 1 });
    } finally {
      client.close();
    }
  });

  for (const scheme of ['', 'https://']) {
    it(`exits although the connection is open: ${scheme || 'plain'}`, async () => {
      const args = ['transcribe', BIN, '--timeout', '0.2', '-a', `${scheme}${silent.address}`];
      const { code, stderr } = await execute(process.execPath, [BIN, ...args]).then(
        () => ({ code: 0, stderr: '' }),
        (error: { readonly code: number; readonly stderr: string }) => error,
      );
      expect(stderr).to.match(/^heimdex: 127\.0\.0\.1:\d+ cannot be reached: no connection within 0\.\d s\n/);
      expect(code).to.equal(3);
    });
  }
});
