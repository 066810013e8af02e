import { expect } from 'chai';
import { pino } from 'pino';
import { chooseDevice } from '../../src/capacity/device.js';
import { EXIT_CODES, FatalError } from '../../src/exit-codes.js';
import { LOADERS } from '../../src/models/loaders.js';
import type { FromWorker } from '../../src/runner/messages.js';
import { serve } from '../../src/worker/serve.js';
import { NO_FACES, pocketEnv, pocketVolume } from '../fixtures/pocket.js';
import { type Ended, runHere, startProgram } from '../fixtures/server-process.js';
import type { Volume } from '../fixtures/volume.js';

const NO_DRIVER = 'CUDA failure 35: the driver is too old';
/** As onnxruntime 1.30 writes them, shortened. */
const MEMORY_FULL = [
  'cuda_call.cc:154 std::conditional_t<THRW, void> CudaCall(ERRTYPE) CUDA failure 2: out of memory ; GPU=0 ; hostname=vm',
  'Exception during initialization: bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 9916416',
];

/** The chosen device if CUDA works (no reason) or not, and the log. */
async function choose(wanted: 'cpu' | 'cuda' | 'auto', reason?: string) {
  const lines: string[] = [];
  let probes = 0;
  const device = await chooseDevice(wanted, {
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    env: {},
    stop: new AbortController().signal,
    probe: async () => {
      probes += 1;
      return reason;
    },
  });
  return { device, probes, log: lines.join('') };
}

describe('the device', () => {
  it('is the CPU without probing CUDA unless requested', async () => {
    expect(await choose('cpu')).to.deep.equal({ device: 'cpu', probes: 0, log: '' });
  });

  it('is CUDA if it works, for auto and cuda', async () => {
    expect(await choose('cuda')).to.deep.equal({ device: 'cuda', probes: 1, log: '' });
    expect(await choose('auto')).to.deep.equal({ device: 'cuda', probes: 1, log: '' });
  });

  it('is the CPU for auto if CUDA does not work, with the reason in the log', async () => {
    const { device, log } = await choose('auto', NO_DRIVER);
    expect(device).to.equal('cpu');
    expect(log).to.include(NO_DRIVER);
  });

  it('is an error for cuda if CUDA does not work, with the reason and the remedy', async () => {
    const error = await choose('cuda', NO_DRIVER).catch((thrown: unknown) => thrown);
    if (!(error instanceof FatalError)) throw new Error('Expected a FatalError');
    expect(error.reason).to.equal('configuration');
    for (const words of [NO_DRIVER, 'DEVICE=auto', 'cuDNN']) expect(error.message).to.include(words);
  });

  it('is an error for cuda if the memory of the GPU is full, in plain words and with the remedy', async () => {
    for (const text of MEMORY_FULL) {
      const error = await choose('cuda', text).catch((thrown: unknown) => thrown);
      if (!(error instanceof FatalError)) throw new Error('Expected a FatalError');
      expect(error.message).to.match(/the GPU has too little free memory.*nvidia-smi.*fewer workers/);
      for (const words of ['conditional_t', 'bfc_arena', 'cuDNN']) expect(error.message).not.to.include(words);
    }
    expect((await choose('auto', MEMORY_FULL[0])).log).to.include('the GPU has too little free memory');
  });

  it('explains a model that does not fit into the memory of the GPU', async () => {
    const [, text] = MEMORY_FULL;
    const answers = { cuda: /^the GPU has too little free memory.*fewer workers/, cpu: /bfc_arena/ };
    for (const device of ['cuda', 'cpu'] as const) {
      const answer = new Promise<FromWorker>((resolve) => {
        const receive = serve(resolve, {
          ...LOADERS,
          siglip: async () => {
            throw new Error(text);
          },
        });
        receive({ type: 'load', family: 'siglip', files: { weights: {} }, options: { device } });
      });
      const failed = await answer;
      if (failed.type !== 'failed') throw new Error('Expected a failure');
      expect(failed.message).to.match(answers[device]);
    }
  });

  describe('of the program, on a machine without the CUDA libraries of onnxruntime', () => {
    let volume: Volume;
    let ended: Ended;

    before(async function () {
      volume = await pocketVolume();
      // With an address that no machine has: where CUDA opens, the program ends too.
      ended = await runHere({ ...pocketEnv(volume), DEVICE: 'cuda', HOST: '192.0.2.1' });
      if (ended.code === EXIT_CODES.configuration) return;
      console.log('      CUDA opens here');
      this.skip();
    });
    after(() => volume.remove());

    it('exits immediately for cuda, and names the library', () => {
      expect(ended.stderr).to.match(/DEVICE=cuda.*libonnxruntime_providers_shared\.so: cannot open shared object file/);
    });

    it('serves on the CPU for auto, and reports it everywhere', async () => {
      const server = await startProgram({ ...pocketEnv(volume), ...NO_FACES, DEVICE: 'auto' });
      try {
        const why = await server.logged((line) => line.msg.startsWith('DEVICE=auto'));
        expect(why.reason).to.match(/libonnxruntime_providers_shared\.so/);
        const listening = await server.logged((line) => line.msg.startsWith('Listening on '));
        expect(listening.device).to.equal('cpu');
        const health = (await (await fetch(`${server.url}/health`)).json()) as { device: string };
        expect(health.device).to.equal('cpu');
        const info = await fetch(`${server.url}/heimdex.inference.v1.InferenceService/GetServerInfo`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: '{}',
        });
        const { models } = (await info.json()) as { models: { device: string }[] };
        expect(new Set(models.map(({ device }) => device))).to.deep.equal(new Set(['cpu']));
      } finally {
        await server.stop();
      }
    });
  });
});
