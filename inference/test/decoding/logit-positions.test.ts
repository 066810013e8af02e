import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { chooseLogitPositions, LOGIT_POSITIONS } from '../../src/models/decoding/graph/logit-positions.js';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { newModel, node, type OnnxModel, tensor, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';

const WIDTH = 4;
const WORDS = 6;

/** The end of a decoder: a last layer and its product with the vocabulary, scaled. */
function decoderEnd(): OnnxModel {
  return newModel({
    name: 'decoder',
    nodes: [
      node('Tanh', ['states'], ['hidden']),
      node('MatMul', ['hidden', 'vocabulary'], ['scores']),
      node('Mul', ['scores', 'scale'], ['logits']),
    ],
    initializers: [
      tensor(
        'vocabulary',
        [WIDTH, WORDS],
        Float32Array.from({ length: WIDTH * WORDS }, (_, i) => Math.sin(i)),
      ),
      tensor('scale', [1], Float32Array.of(3)),
    ],
    inputs: [{ name: 'states', elementType: 'float32', dims: ['batch', 'length', WIDTH] }],
    outputs: [{ name: 'logits', elementType: 'float32', dims: ['batch', 'length', WORDS] }],
  });
}

async function run(model: OnnxModel, feeds: Readonly<Record<string, Tensor>>): Promise<Tensor> {
  const session = await InferenceSession.create(writeModel(model), sessionOptions(OPTIONS));
  try {
    const outputs = await session.run(feeds);
    return Object.values(outputs)[0] as Tensor;
  } finally {
    await session.release();
  }
}

describe('chooseLogitPositions', () => {
  const states = new Tensor(
    'float32',
    Float32Array.from({ length: 5 * WIDTH }, (_, i) => Math.cos(i)),
    [1, 5, WIDTH],
  );

  it('returns the logits of the chosen positions, equal to the full ones', async () => {
    const whole = (await run(decoderEnd(), { states })).data as Float32Array;
    const model = decoderEnd();
    expect(chooseLogitPositions(model.graph)).to.equal(true);
    const positions = new Tensor('int64', BigInt64Array.of(4n, 1n), [2]);
    const chosen = await run(model, { states, [LOGIT_POSITIONS]: positions });
    expect(chosen.dims).to.deep.equal([1, 2, WORDS]);
    const rows = chosen.data as Float32Array;
    expect(rows.slice(0, WORDS)).to.deep.equal(whole.slice(4 * WORDS));
    expect(rows.slice(WORDS)).to.deep.equal(whole.slice(WORDS, 2 * WORDS));
  });

  it('leaves a graph with another structure unchanged', () => {
    const model = decoderEnd();
    const [last] = model.graph.nodes.slice(-1);
    if (last !== undefined) last.opType = 'Softmax';
    const bytes = writeModel(model);
    expect(chooseLogitPositions(model.graph)).to.equal(false);
    expect(writeModel(model)).to.deep.equal(bytes);
  });
});
