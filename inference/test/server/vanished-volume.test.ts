import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { GrpcClient } from '../fixtures/grpc-client.js';
import { NO_FACES, pocketServer } from '../fixtures/pocket.js';

const { embedText } = InferenceService.method;

describe('a volume that vanishes', () => {
  it('does not affect a server that has loaded it, until a worker restarts', async () => {
    const { server, volume, stop } = await pocketServer({ ...NO_FACES, MAX_RESTARTS: '1' });
    const client = new GrpcClient(server.address);
    try {
      await rm(volume.cacheDir, { recursive: true });
      const { results } = await client.value(embedText, { texts: ['still here'] });
      expect(results[0]?.result.case).to.equal('embedding');
      const worker = server.log.find(({ pid, model }) => typeof pid === 'number' && model === 'siglip');
      const closed = once(server.child, 'close');
      process.kill(Number(worker?.pid), 'SIGKILL');
      expect((await closed)[0]).to.equal(EXIT_CODES.worker);
      expect(server.stderr()).to.match(/The siglip model failed to load: .* is gone\. Restart the server/);
    } finally {
      client.close();
      await stop();
    }
  });
});
