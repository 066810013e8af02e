import { GIB } from '@heimdex/common';
import { expect } from 'chai';
import { chooseWorkers, type SizedModel } from '../../src/capacity/sizing.js';
import { IMAGE_BATCH, PIXEL_BATCH, SPEECH_BATCH, TOKEN_BATCH } from '../../src/models/batch-specs.js';
import type { Role } from '../../src/models/roles.js';

const SMALL = 0.25 * GIB;
const NOTHING_SET = { speech: undefined, vision: undefined, text: undefined, faces: undefined };

interface Given {
  readonly cores: number;
  readonly memoryGib: number;
}
type Settings = Partial<Parameters<typeof chooseWorkers>[1]>;

function choose(models: readonly SizedModel[], { cores, memoryGib }: Given, config: Settings = {}) {
  return chooseWorkers(
    models,
    { device: 'cpu', threads: undefined, workers: NOTHING_SET, batchCosts: NOTHING_SET, ...config },
    { cores, memoryBytes: memoryGib * GIB },
  );
}

function sizes(models: readonly SizedModel[], machine: Given, config: Settings = {}): Record<string, string> {
  const chosen = choose(models, machine, config);
  return Object.fromEntries([...chosen].map(([role, { workers, threads }]) => [role, `${workers} x ${threads}`]));
}

const BATCHES = { speech: SPEECH_BATCH, vision: IMAGE_BATCH, text: TOKEN_BATCH, faces: PIXEL_BATCH } as const;
const model = (role: Role, needBytes = SMALL): SizedModel => ({ role, needBytes, batch: BATCHES[role] });

describe('workers and threads', () => {
  it('follow the cores: two runs at a time on all cores, at most four threads each', () => {
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

  it('are fewer threads of speech where others need the cores: as many workers have all of theirs as have a core for each', () => {
    const of = (cores: number, config: Settings = {}) => {
      const size = choose([model('speech')], { cores, memoryGib: 1000 }, config).get('speech');
      return `${size?.wideWorkers} of ${size?.workers} x ${size?.threads}, ${size?.sharedThreads}`;
    };
    expect([1, 2, 3, 4, 8, 64].map((cores) => of(cores))).to.deep.equal([
      '1 of 1 x 1, 1',
      '1 of 2 x 2, 1',
      '1 of 2 x 3, 2',
      '1 of 2 x 4, 2',
      '2 of 4 x 4, 2',
      '8 of 8 x 4, 4',
    ]);
    expect(of(2, { workers: { ...NOTHING_SET, speech: 1 } })).to.equal('1 of 1 x 2, 2');
    expect(of(2, { threads: 2 })).to.equal('2 of 2 x 2, 2');
    const images = choose([model('vision')], { cores: 2, memoryGib: 1000 }).get('vision');
    expect([images?.wideWorkers, images?.sharedThreads]).to.deep.equal([2, 2]);
  });

  it('are one worker per core for faces, with at most two threads each', () => {
    const of = (cores: number) => sizes([model('faces')], { cores, memoryGib: 1000 }).faces;
    expect([1, 2, 4, 64].map(of)).to.deep.equal(['1 x 1', '2 x 2', '4 x 2', '8 x 2']);
  });

  it('are one thread per core for a small model of texts or images', () => {
    const of = (cores: number, config: Settings = {}) =>
      sizes([model('text', 0.15 * GIB)], { cores, memoryGib: 1000 }, config).text;
    expect(sizes([model('vision', 0.135 * GIB)], { cores: 2, memoryGib: 1000 }).vision).to.equal('2 x 1');
    expect(sizes([model('vision', 0.15 * GIB)], { cores: 2, memoryGib: 1000 }).vision).to.equal('2 x 2');
    expect([1, 2, 4, 8, 64].map((cores) => of(cores))).to.deep.equal(['1 x 1', '2 x 1', '4 x 1', '8 x 1', '8 x 4']);
    expect(of(2, { workers: { ...NOTHING_SET, text: 1 } })).to.equal('1 x 2');
    expect(sizes([model('text')], { cores: 2, memoryGib: 1000 }).text).to.equal('2 x 2');
  });

  it('are limited by memory, the roles in turn', () => {
    const large = [model('speech', 2 * GIB), model('vision'), model('faces')];
    expect(sizes(large, { cores: 2, memoryGib: 6 })).to.deep.equal({
      speech: '1 x 2',
      vision: '1 x 2',
      faces: '1 x 2',
    });
    expect(sizes(large, { cores: 2, memoryGib: 8.5 })).to.deep.equal({
      speech: '1 x 2',
      vision: '2 x 2',
      faces: '1 x 2',
    });
    expect(sizes(large, { cores: 2, memoryGib: 16 })).to.deep.equal({
      speech: '2 x 2',
      vision: '2 x 2',
      faces: '2 x 2',
    });
  });

  it('are set by the variables, independent of the machine', () => {
    const workers = { ...NOTHING_SET, speech: 5 };
    const machine = { cores: 2, memoryGib: 1 };
    expect(sizes([model('speech')], machine, { workers }).speech).to.equal('5 x 1');
    expect(sizes([model('speech')], machine, { workers, threads: 7 }).speech).to.equal('5 x 7');
  });

  it('are one worker per model on a GPU', () => {
    expect(sizes([model('vision')], { cores: 8, memoryGib: 100 }, { device: 'cuda' }).vision).to.equal('1 x 4');
  });

  it('are as many of faces beside a GPU as without one, because they run on the CPU', () => {
    const machine = { cores: 8, memoryGib: 100 };
    const [beside, without] = (['cuda', 'cpu'] as const).map(
      (device) => sizes([model('faces')], machine, { device }).faces,
    );
    expect(beside).to.equal(without);
  });
});

describe('the batch limit', () => {
  const budget = (role: Role, machine: Given, config: Settings = {}, needBytes = SMALL) =>
    choose([model(role, needBytes)], machine, config).get(role)?.batchCost;

  it('grows with the threads of a worker; for speech it is four windows', () => {
    const plenty = (cores: number) => ({ cores, memoryGib: 1000 });
    expect([1, 2, 4, 64].map((cores) => budget('vision', plenty(cores)))).to.deep.equal([4608, 4608, 9216, 9216]);
    expect([1, 64].map((cores) => budget('text', plenty(cores), { threads: 2 }))).to.deep.equal([4608, 4608]);
    expect([1, 64].map((cores) => budget('speech', plenty(cores)))).to.deep.equal([120, 120]);
    expect([1, 64].map((cores) => budget('faces', plenty(cores)))).to.deep.equal([8 * 1024 ** 2, 8 * 1024 ** 2]);
  });

  it('uses at most half of the memory left by the models', () => {
    // Besides the server's 150 MiB and the model, 106 MiB are free; half of that, at 2.6 MiB per second or 64 KiB per token.
    const machine = { cores: 1, memoryGib: 0.5 };
    expect(budget('speech', machine)).to.equal(20);
    expect(budget('vision', machine)).to.equal(848);
    expect(budget('speech', { cores: 1, memoryGib: 0.1 })).to.equal(1);
  });

  it('is divided among the workers', () => {
    const of = (workers: number) =>
      budget('vision', { cores: 1, memoryGib: 0.4 + 0.25 * workers }, { workers: { ...NOTHING_SET, vision: workers } });
    expect(of(1)).to.equal(2076);
    expect(of(4)).to.equal(519);
  });

  it('is set by the variable', () => {
    const batchCosts = { ...NOTHING_SET, text: 100_000 };
    expect(budget('text', { cores: 1, memoryGib: 0.1 }, { batchCosts })).to.equal(100_000);
  });
});
