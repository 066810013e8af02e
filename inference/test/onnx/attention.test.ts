import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { fuseAttention, newModel, node, type OnnxModel, tensor, writeModel } from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';

const HEADS = 4;
const SIZE = 16;
const WIDTH = HEADS * SIZE;
const NAMES = ['q', 'k', 'v'];

interface Form {
  /** Where the scale is applied. */
  readonly scaled?: 'query' | 'scores' | 'divided';
  readonly scale?: number;
  readonly masked?: boolean;
  readonly shown?: boolean;
}

/** Attention as exported by torch. */
function written({
  scaled = 'query',
  scale = 1 / Math.sqrt(SIZE),
  masked = false,
  shown = false,
}: Form = {}): OnnxModel {
  const head = (from: string, to: string, perm: readonly number[]) => [
    node('Shape', [from], [`${to}_shape`]),
    node('Slice', [`${to}_shape`, 'zero', 'two'], [`${to}_sizes`]),
    node('Gather', [`${to}_sizes`, 'zero'], [`${to}_n`], { axis: 0 }),
    node('Gather', [`${to}_sizes`, 'one'], [`${to}_l`], { axis: 0 }),
    node('Concat', [`${to}_n`, `${to}_l`, 'heads', 'size'], [`${to}_split`], { axis: 0 }),
    node('Reshape', [from, `${to}_split`], [`${to}_parts`]),
    node('Transpose', [`${to}_parts`], [to], { perm }),
  ];
  return newModel({
    name: 'attention',
    nodes: [
      ...(scaled === 'query' ? [node('Mul', ['q', 'scale'], ['qs'])] : []),
      ...head(scaled === 'query' ? 'qs' : 'q', 'qh', [0, 2, 1, 3]),
      ...head('k', 'kh', [0, 2, 3, 1]),
      ...head('v', 'vh', [0, 2, 1, 3]),
      node('MatMul', ['qh', 'kh'], ['products']),
      ...(scaled === 'scores' ? [node('Mul', ['scale', 'products'], ['scores'])] : []),
      ...(scaled === 'divided' ? [node('Div', ['products', 'scale'], ['scores'])] : []),
      ...(masked ? [node('Add', [scaled === 'query' ? 'products' : 'scores', 'mask'], ['hidden'])] : []),
      node('Softmax', [masked ? 'hidden' : scaled === 'query' ? 'products' : 'scores'], ['weights'], { axis: -1 }),
      node('MatMul', ['weights', 'vh'], ['sums']),
      node('Transpose', ['sums'], ['turned'], { perm: [0, 2, 1, 3] }),
      node('Concat', ['qh_n', 'qh_l', 'width'], ['whole'], { axis: 0 }),
      node('Reshape', ['turned', 'whole'], ['y']),
    ],
    initializers: [
      tensor('scale', [], Float32Array.of(scaled === 'divided' ? 1 / scale : scale)),
      tensor('mask', [1], Float32Array.of(0)),
      ...Object.entries({ zero: 0, one: 1, two: 2, heads: HEADS, size: SIZE, width: WIDTH }).map(([name, value]) =>
        tensor(name, [1], BigInt64Array.of(BigInt(value))),
      ),
    ],
    inputs: NAMES.map((name) => ({ name, elementType: 'float32', dims: ['n', `${name}l`, WIDTH] })),
    outputs: [
      { name: 'y', elementType: 'float32', dims: ['n', 'ql', WIDTH] },
      ...(shown ? [{ name: 'weights', elementType: 'float32' as const, dims: ['n', HEADS, 'ql', 'kl'] }] : []),
    ],
  });
}

/** Runs a model on noise with `keys` keys and values. */
async function run(model: OnnxModel, count: number, queries: number, keys: number): Promise<Float32Array> {
  const session = await InferenceSession.create(writeModel(model), sessionOptions(OPTIONS));
  try {
    let state = 11;
    const feeds = NAMES.map((name) => {
      const length = name === 'q' ? queries : keys;
      const values = Float32Array.from({ length: count * length * WIDTH }, () => {
        state = (state * 48_271) % 2_147_483_647;
        return (state / 1_073_741_823 - 1) * 3;
      });
      return [name, new Tensor('float32', values, [count, length, WIDTH])] as const;
    });
    return (await session.run(Object.fromEntries(feeds))).y?.data as Float32Array;
  } finally {
    await session.release();
  }
}

describe('fuseAttention', () => {
  for (const scaled of ['query', 'scores', 'divided'] as const) {
    it(`equals decomposed attention scaled at ${scaled} to 1e-5, at any length`, async () => {
      const model = written({ scaled });
      expect(fuseAttention(model)).to.equal(1);
      expect(model.graph.nodes.map(({ opType }) => opType)).to.deep.equal(['MultiHeadAttention']);
      for (const [count, queries, keys] of [
        [1, 1, 1],
        [1, 700, 700],
        [3, 5, 9],
      ] as const) {
        const before = await run(written({ scaled }), count, queries, keys);
        const after = await run(model, count, queries, keys);
        expect(after.length).to.equal(before.length);
        expect(Math.max(...after.map((value, at) => Math.abs(value - (before[at] ?? Number.NaN))))).to.be.below(1e-5);
      }
    });
  }

  for (const [what, form] of [
    ['has a mask', { masked: true }],
    ['is scaled by another number', { scale: 0.3 }],
    ['shows its weights', { shown: true }],
  ] as const) {
    it(`does not fuse attention that ${what}`, () => {
      const model = written(form);
      expect(fuseAttention(model)).to.equal(0);
      expect(writeModel(model)).to.deep.equal(writeModel(written(form)));
    });
  }
});
