import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createSharing } from '../../src/models/session/core-sharing.js';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { newModel, node, tensor, writeModel } from '../../src/onnx/index.js';

/** A graph that adds a number. */
const adding = (number: number) =>
  writeModel(
    newModel({
      name: 'adding',
      nodes: [node('Add', ['x', 'number'], ['y'])],
      initializers: [tensor('number', [1], Float32Array.of(number))],
      inputs: [{ name: 'x', elementType: 'float32', dims: [1] }],
      outputs: [{ name: 'y', elementType: 'float32', dims: [1] }],
    }),
  );

describe('a session that shares the cores', () => {
  /** Adds the number of its threads. */
  const open = (options: { readonly sharedThreads?: number; readonly cores?: { readonly shared: boolean } }) =>
    createSharing(
      sessionOptions({ device: 'cpu', threads: 2 }),
      { device: 'cpu', threads: 2, ...options },
      (settings) => InferenceSession.create(adding(settings.intraOpNumThreads ?? 0), settings),
    );
  const threadsOf = async (session: InferenceSession) => {
    const { y } = await session.run({ x: new Tensor('float32', [0], [1]) });
    return y?.data[0];
  };

  it('runs with fewer threads while others need the cores', async () => {
    const cores = { shared: false };
    const session = await open({ sharedThreads: 1, cores });
    expect(session.inputNames).to.deep.equal(['x']);
    expect(await threadsOf(session)).to.equal(2);
    cores.shared = true;
    expect(await threadsOf(session)).to.equal(1);
    cores.shared = false;
    expect(await threadsOf(session)).to.equal(2);
    await session.release();
  });

  it('runs with all threads where nothing is shared', async () => {
    for (const options of [{}, { sharedThreads: 1 }, { sharedThreads: 2, cores: { shared: true } }]) {
      const session = await open(options);
      expect(await threadsOf(session)).to.equal(2);
      await session.release();
    }
  });
});
