/** What needs one server of the small models: a start takes 2 s of processor time. */
import { expect } from 'chai';
import { pocketServer } from '../fixtures/pocket.js';
import type { ServedVolume } from '../fixtures/serve-volume.js';
import { testHostile } from './hostile.js';
import { testItemErrors } from './item-errors.js';
import { testProtocols } from './protocols.js';

describe('a server of the small models', () => {
  let served: ServedVolume;

  before(async () => {
    served = await pocketServer({ MAX_MESSAGE_MIB: '4', WORKERS_FACES: '2', BATCH_VISION: '1152' });
  });
  after(() => served?.stop());

  it('starts its additional workers after it is ready', async () => {
    const { server } = served;
    await server.logged(({ msg, model: name, worker }) => /^Loaded in/.test(msg) && name === 'yunet' && worker === 1);
    const messages = server.log.map(({ msg, worker }) => (worker === 1 ? `${msg} the second` : msg));
    expect(messages.indexOf('Ready')).to.be.greaterThan(0);
    expect(messages.findIndex((message) => /^Loaded in \d+\.\d\ds the second$/.test(message))).to.be.greaterThan(
      messages.indexOf('Ready'),
    );
    const loading = server.log.filter(({ msg }) => msg === 'loading');
    expect(loading.map(({ role, workers, costUnit }) => [role, workers, costUnit])).to.deep.equal([
      ['vision', 1, 'tokens'],
      ['faces', 2, 'pixels'],
    ]);
    expect(loading[0]?.batchCost).to.equal(1152);
    expect(loading[1]?.batchCost).to.be.within(1, 8 * 1024 ** 2);
    expect(server.log.find(({ msg }) => msg === 'sizing workers by the machine')?.cores).to.be.greaterThan(0);
  });

  describe('with item errors', () => testItemErrors(() => served));
  describe('with all protocols of one port', () => testProtocols(() => served));
  describe('with hostile input', () => testHostile(() => served));
});
