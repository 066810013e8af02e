import { expect } from 'chai';
import type { Role } from '../../src/models/model.js';
import { chooseWorkers, type SizedModel } from '../../src/sizing.js';
import { type PocketServer, pocketServer } from '../fixtures/pocket.js';

const GIB = 1024 ** 3;
const SMALL = 0.25 * GIB;
const NOTHING_SET = { speech: undefined, vision: undefined, text: undefined, faces: undefined };

function sizes(
  models: readonly SizedModel[],
  machine: { readonly cores: number; readonly memoryGib: number },
  config: Partial<Parameters<typeof chooseWorkers>[1]> = {},
): Record<string, string> {
  const chosen = chooseWorkers(
    models,
    { device: 'cpu', threads: undefined, workers: NOTHING_SET, ...config },
    { cores: machine.cores, memoryBytes: machine.memoryGib * GIB },
  );
  return Object.fromEntries([...chosen].map(([role, { workers, threads }]) => [role, `${workers} x ${threads}`]));
}

const model = (role: Role, needBytes = SMALL) => ({ role, needBytes });

describe('workers and threads', () => {
  it('follow the cores: two runs at a time, each on all of them, four threads at most', () => {
    const of = (cores: number) => sizes([model('speech')], { cores, memoryGib: 1000 }).speech;
    expect([1, 2, 3, 4, 8, 16, 64].map(of)).to.deep.equal([
      '1 x 1',
      '2 x 2',
      '2 x 3',
      '2 x 4',
      '4 x 4',
      '8 x 4',
      '8 x 4',
    ]);
  });

  it('are a worker a core for faces, of one thread: threads gain nothing there', () => {
    const of = (cores: number) => sizes([model('faces')], { cores, memoryGib: 1000 }).faces;
    expect([1, 2, 4, 64].map(of)).to.deep.equal(['1 x 1', '2 x 1', '4 x 1', '8 x 1']);
  });

  it('stay one where memory has no room for another, the roles taking turns', () => {
    const large = [model('speech', 2 * GIB), model('vision'), model('faces')];
    expect(sizes(large, { cores: 2, memoryGib: 6 })).to.deep.equal({
      speech: '1 x 2',
      vision: '1 x 2',
      faces: '1 x 1',
    });
    expect(sizes(large, { cores: 2, memoryGib: 8.5 })).to.deep.equal({
      speech: '1 x 2',
      vision: '2 x 2',
      faces: '1 x 1',
    });
    expect(sizes(large, { cores: 2, memoryGib: 16 })).to.deep.equal({
      speech: '2 x 2',
      vision: '2 x 2',
      faces: '2 x 1',
    });
  });

  it('are what the variables say, whatever the machine is', () => {
    const workers = { ...NOTHING_SET, speech: 5 };
    const machine = { cores: 2, memoryGib: 1 };
    expect(sizes([model('speech')], machine, { workers }).speech).to.equal('5 x 1');
    expect(sizes([model('speech')], machine, { workers, threads: 7 }).speech).to.equal('5 x 7');
  });

  it('are one worker a model on a GPU, which runs one thing at a time', () => {
    expect(sizes([model('vision')], { cores: 8, memoryGib: 100 }, { device: 'cuda' }).vision).to.equal('1 x 4');
  });
});

describe('workers beside the first', () => {
  let pocket: PocketServer;
  before(async () => {
    pocket = await pocketServer({ WORKERS_VISION: '2' });
  });
  after(() => pocket.stop());

  it('start when the server is ready, and do not hold it up', async () => {
    const { server } = pocket;
    await server.logged(({ msg, model: name, worker }) => /^Loaded in/.test(msg) && name === 'siglip' && worker === 1);
    const messages = server.log.map(({ msg, worker }) => (worker === 1 ? `${msg} the second` : msg));
    expect(messages.indexOf('Ready')).to.be.greaterThan(0);
    expect(messages.findIndex((message) => /^Loaded in .* the second$/.test(message))).to.be.greaterThan(
      messages.indexOf('Ready'),
    );
    const loading = server.log.filter(({ msg }) => msg === 'loading');
    expect(loading.map(({ role, workers }) => [role, workers])).to.deep.equal([
      ['vision', 2],
      ['faces', 1],
    ]);
    expect(server.log.find(({ msg }) => msg === 'sizing workers by the machine')?.cores).to.be.greaterThan(0);
  });
});
