import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { chooseLogitPositions, LOGIT_POSITIONS } from '../../src/models/decoding/logit-positions.js';
import { sessionOptions } from '../../src/models/session.js';
import { freeEncoderLength } from '../../src/models/whisper/encoder-graph.js';
import { newModel, node, type OnnxModel, tensor, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/places.js';

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

  it('gives the logits of the chosen positions, equal to those of the whole', async () => {
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

  it('leaves a graph alone whose logits are made in another way', () => {
    const model = decoderEnd();
    const [last] = model.graph.nodes.slice(-1);
    if (last !== undefined) last.opType = 'Softmax';
    const bytes = writeModel(model);
    expect(chooseLogitPositions(model.graph)).to.equal(false);
    expect(writeModel(model)).to.deep.equal(bytes);
  });
});

/** The beginning of an encoder: frames to positions, and the embedding of ten positions. */
function encoderStart(): OnnxModel {
  return newModel({
    name: 'encoder',
    nodes: [
      node('Transpose', ['input_features'], ['frames'], { perm: [0, 2, 1] }),
      node('Add', ['frames', 'encoder.embed_positions.weight'], ['last_hidden_state']),
    ],
    initializers: [
      tensor(
        'encoder.embed_positions.weight',
        [10, 2],
        Float32Array.from({ length: 20 }, (_, i) => i),
      ),
    ],
    inputs: [{ name: 'input_features', elementType: 'float32', dims: ['batch', 2, 10] }],
    outputs: [{ name: 'last_hidden_state', elementType: 'float32', dims: ['batch', 10, 2] }],
  });
}

describe('freeEncoderLength', () => {
  it('lets the graph take fewer frames, which get the first positions', async () => {
    const model = encoderStart();
    expect(freeEncoderLength(model.graph)).to.equal(true);
    for (const length of [3, 10]) {
      const features = new Tensor('float32', new Float32Array(2 * length), [1, 2, length]);
      const states = await run(model, { input_features: features });
      expect(states.dims).to.deep.equal([1, length, 2]);
      expect(Array.from(states.data as Float32Array)).to.deep.equal(Array.from({ length: 2 * length }, (_, i) => i));
    }
  });

  it('leaves a graph alone that adds its positions in another way', () => {
    const model = encoderStart();
    for (const one of model.graph.nodes) if (one.opType === 'Add') one.opType = 'Mul';
    expect(freeEncoderLength(model.graph)).to.equal(false);
  });
});
