import { expect } from 'chai';
import { Metrics } from '../../src/telemetry/metrics.js';

describe('the metrics', () => {
  it('are read once for all who ask at the same time, and again for the next', async () => {
    let readings = 0;
    const metrics = new Metrics();
    metrics.watch({
      models: [],
      requestsInProgress: () => ++readings,
      traffic: () => ({ receivedBytes: 0, sentBytes: 0, connections: 0 }),
      serverMemoryBytes: async () => 0,
      memoryLimitBytes: 0,
      certificateExpiresAtMs: undefined,
    });
    const inProgress = async () => /^heimdex_requests_in_progress (\d+)$/m.exec((await metrics.read()).text)?.[1];
    expect(await Promise.all([inProgress(), inProgress(), inProgress()])).to.deep.equal(['1', '1', '1']);
    expect(await inProgress()).to.equal('2');
  });
});
