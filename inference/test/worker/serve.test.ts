import { expect } from 'chai';
import type { LoadOptions, ModelFiles } from '../../src/models/model.js';
import type { FromWorker } from '../../src/runner/messages.js';
import { serve } from '../../src/worker/serve.js';
import { OPTIONS } from '../support/paths.js';

const FILES: ModelFiles = { id: 'org/name', revision: '', variant: '', dir: '', weights: {} };

describe('a worker process', () => {
  it('says what is wrong with a model without a stack, and with one what is a defect; and that its files are gone', async () => {
    const problem = async (error: Error, files = FILES, options: LoadOptions = OPTIONS) => {
      const load = () => Promise.reject(error);
      const loaders = { whisper: load, moonshine: load, siglip: load, sentence: load, yunet: load };
      const failed = new Promise<FromWorker>((resolve) => {
        serve(
          (message) => message.type === 'failed' && resolve(message),
          loaders,
        )({
          type: 'load',
          family: 'whisper',
          files,
          options,
        });
      });
      const message = await failed;
      return message.type === 'failed' ? message.message : undefined;
    };
    expect(await problem(new Error('Expected a tokenizer.json.'))).to.equal('Expected a tokenizer.json.');
    expect(await problem(new TypeError('x is not a function'))).to.match(/^TypeError: x is not a function\n +at /);
    const full = 'CUDA failure 2: out of memory ; GPU=0 ; file=/onnxruntime_src/cuda_call.cc';
    expect(await problem(new Error(full))).to.equal(full);
    expect(await problem(new Error(full), FILES, { ...OPTIONS, device: 'cuda' })).to.match(
      /^the GPU has too little free memory .*DEVICE=cpu\.$/,
    );
    const files = { ...FILES, weights: { model: '/nowhere/model.onnx' } };
    expect(await problem(new Error('Expected a tokenizer.json.'), files)).to.match(
      /^Expected a tokenizer\.json\. The volume has changed .* \/nowhere\/model\.onnx is gone\. Restart the server/,
    );
  });

  it('tells its model, during a run as well, whether other runs need the cores', async () => {
    const facts = { dimensions: 0, batching: { shared: false, maxItems: 1, reason: '' } };
    /** Calls its item, yields, and answers with what it was told before and after. */
    const load = async (_: unknown, { cores }: LoadOptions) => ({
      facts,
      warmUp: async () => {},
      close: async () => {},
      run: async ([item]: readonly unknown[], context: { yieldToEventLoop(): Promise<void> }) => {
        const before = cores?.shared;
        (item as () => void)();
        await context.yieldToEventLoop();
        return [{ ok: true as const, value: [before, cores?.shared] }];
      },
    });
    const loaders = { whisper: load, moonshine: load, siglip: load, sentence: load, yunet: load };
    let sent: (message: FromWorker) => void = () => {};
    const next = (type: FromWorker['type']) =>
      new Promise<FromWorker>((resolve) => {
        sent = (message) => message.type === type && resolve(message);
      });
    const receive = serve((message) => sent(message), loaders);
    const ready = next('ready');
    receive({ type: 'load', family: 'whisper', files: FILES, options: OPTIONS });
    await ready;
    const run = async (id: number, item = () => {}) => {
      const result = next('result');
      receive({ type: 'run', id, items: [item], preempting: false });
      return result;
    };
    const told = (result: FromWorker) => (result.type === 'result' ? result.outcomes : undefined);
    expect(told(await run(1))).to.deep.equal([{ ok: true, value: [false, false] }]);
    receive({ type: 'cores', shared: true });
    expect(told(await run(2))).to.deep.equal([{ ok: true, value: [true, true] }]);
    receive({ type: 'cores', shared: false });
    expect(told(await run(3, () => receive({ type: 'cores', shared: true })))).to.deep.equal([
      { ok: true, value: [false, true] },
    ]);
  });
});
