import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { withSessionEntries } from '../../src/models/session/optimized/recipe.js';
import {
  mayOverflow,
  newModel,
  node,
  type OnnxGraph,
  type OnnxModel,
  quantizePerToken,
  tensor,
  writeModel,
} from '../../src/onnx/index.js';
import { makeOverflowSafe, readInline } from '../../src/onnx/overflow-safe-weights.js';
import { branchOf } from '../support/graphs.js';
import { OPTIONS } from '../support/paths.js';

/** Deterministic pseudorandom integers from 0 to below `limit`. */
function* numbers(seed: number, limit: number): Generator<number, never, void> {
  let state = seed;
  for (;;) {
    state = (state * 48_271) % 2_147_483_647;
    yield Math.floor((state / 2_147_483_647) * limit);
  }
}

/** Worst-case pairs of rows: both large, with equal signs. */
function loudWeights(inputs: number, outputs: number, seed: number): Int8Array {
  const next = numbers(seed, 128);
  const weights = new Int8Array(inputs * outputs);
  for (let row = 0; row < inputs; row += 2) {
    for (let output = 0; output < outputs; output++) {
      const sign = next.next().value < 64 ? -1 : 1;
      for (const at of [row, row + 1]) {
        if (at < inputs) weights[at * outputs + output] = sign * Math.max(next.next().value, next.next().value);
      }
    }
  }
  return weights;
}

function overflowSafeOf(
  values: Int8Array | Uint8Array,
  dims: [number, number],
  scale: Float32Array,
  zero?: Int8Array | Uint8Array,
) {
  const made = makeOverflowSafe(
    'narrow',
    {
      values: tensor('w', dims, values),
      scale: tensor('s', scale.length === 1 ? [] : [scale.length], scale),
      zero: zero === undefined ? undefined : tensor('z', [zero.length], zero),
    },
    readInline,
  );
  if (made === undefined) throw new Error('not narrowed');
  const steps = readInline(made.values) as Uint8Array;
  const scales = readInline(made.scale) as Uint8Array;
  return {
    weights: new Int8Array(steps.buffer, steps.byteOffset, steps.length),
    scales: new Float32Array(scales.slice().buffer),
  };
}

/** The maximum sum of weights of equal sign in rows 2i and 2i + 1. */
function largestPair(weights: Int8Array, [inputs, outputs]: readonly [number, number]): number {
  let largest = 0;
  for (let row = 0; row < inputs; row += 2) {
    for (let output = 0; output < outputs; output++) {
      const pair = [row, row + 1].map((at) => (at < inputs ? (weights[at * outputs + output] as number) : 0));
      for (const sign of [1, -1]) {
        largest = Math.max(
          largest,
          pair.reduce((sum, one) => sum + Math.max(0, sign * one), 0),
        );
      }
    }
  }
  return largest;
}

/** A session with the fast product, as used for a graph that cannot overflow. */
async function product(
  activations: Uint8Array,
  weights: Int8Array,
  dims: readonly [number, number],
): Promise<Float32Array> {
  const [inputs, outputs] = dims;
  const model = newModel({
    name: 'product',
    nodes: [node('MatMulIntegerToFloat', ['x', 'w', 'xs', 'ws', 'xz'], ['y'], {}, 'com.microsoft')],
    initializers: [
      tensor('w', dims, weights),
      tensor('xs', [], Float32Array.of(1)),
      tensor('ws', [outputs], new Float32Array(outputs).fill(1)),
      tensor('xz', [], Uint8Array.of(128)),
    ],
    inputs: [{ name: 'x', elementType: 'uint8', dims: ['rows', inputs] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', outputs] }],
  });
  model.opsets.set('com.microsoft', 1n);
  const fast = withSessionEntries(sessionOptions(OPTIONS), { x64quantprecision: '0' });
  const session = await InferenceSession.create(writeModel(model), fast);
  try {
    const { y } = await session.run({ x: new Tensor('uint8', activations, [activations.length / inputs, inputs]) });
    return y?.data as Float32Array;
  } finally {
    await session.release();
  }
}

describe('makeOverflowSafe', () => {
  const sizes: readonly (readonly [number, number])[] = [
    [2, 1],
    [37, 17],
    [64, 16],
    [66, 40],
    [384, 96],
  ];

  for (const dims of sizes) {
    it(`has the exact integer product of ${dims.join('x')} weights with the fast product, for any activations`, async () => {
      const [inputs, outputs] = dims;
      const { weights } = overflowSafeOf(loudWeights(inputs, outputs, 3), [inputs, outputs], Float32Array.of(1));
      for (const rows of [1, 2, 3, 4, 5, 7, 9]) {
        const next = numbers(rows, 256);
        // Most are the maximum or the minimum.
        const activations = Uint8Array.from({ length: rows * inputs }, () => {
          const one = next.next().value;
          return one < 100 ? 255 : one < 140 ? 0 : one;
        });
        const truth = Array.from({ length: rows * outputs }, (_, at) => {
          let sum = 0;
          for (let k = 0; k < inputs; k++) {
            const activation = (activations[Math.floor(at / outputs) * inputs + k] as number) - 128;
            sum += activation * (weights[k * outputs + (at % outputs)] as number);
          }
          return sum;
        });
        expect(Array.from(await product(activations, weights, dims))).to.deep.equal(truth);
      }
    });
  }

  it('limits pairs of equal sign to 127, and changes each weight by at most one step', () => {
    const dims: [number, number] = [51, 8];
    const before = loudWeights(51, 8, 5);
    const { weights, scales } = overflowSafeOf(before, dims, Float32Array.of(0.5));
    expect(largestPair(before, dims)).to.be.greaterThan(200);
    expect(largestPair(weights, dims)).to.be.within(120, 127);
    before.forEach((weight, at) => {
      const scale = scales[at % 8] as number;
      expect((weights[at] as number) * scale).to.be.closeTo(weight * 0.5, scale * 1.5 + 1e-6);
    });
  });

  it('accepts unsigned weights with a zero point, one for all or one per output', () => {
    for (const zeros of [Uint8Array.of(115), Uint8Array.of(0, 140, 255)]) {
      const values = Uint8Array.from({ length: 12 }, (_, at) => (at * 53) % 256);
      const { weights, scales } = overflowSafeOf(values, [4, 3], Float32Array.of(1, 2, 3), zeros);
      expect(largestPair(weights, [4, 3])).to.be.at.most(127);
      values.forEach((value, at) => {
        const scale = scales[at % 3] as number;
        const zero = zeros[zeros.length === 1 ? 0 : at % 3] as number;
        expect((weights[at] as number) * scale).to.be.closeTo((value - zero) * ((at % 3) + 1), scale * 1.5 + 1e-4);
      });
    }
  });

  it('does not change an output that is already overflow-safe', () => {
    const values = Int8Array.of(60, 127, 67, -127, -60, 0, -67, 127);
    const { weights, scales } = overflowSafeOf(values, [4, 2], Float32Array.of(0.25, 4));
    expect(Array.from(weights)).to.deep.equal(Array.from(values));
    expect(Array.from(scales)).to.deep.equal([0.25, 4]);
  });

  it('does not change unavailable weights, or those of other kinds', () => {
    const scale = tensor('s', [], Float32Array.of(1));
    const away = { ...tensor('w', [2, 2], new Int8Array(4)), data: { kind: 'range', offset: 0, length: 4 } as const };
    expect(makeOverflowSafe('n', { values: away, scale }, readInline)).to.equal(undefined);
    const stacked = tensor('w', [1, 2, 2], new Int8Array(4));
    expect(makeOverflowSafe('n', { values: stacked, scale }, readInline)).to.equal(undefined);
    const floats = tensor('w', [2, 2], new Float32Array(4));
    expect(makeOverflowSafe('n', { values: floats, scale }, readInline)).to.equal(undefined);
  });
});

/** A product as written by quantize_dynamic; its name makes tensor names unique. */
function dynamicProduct(weights: string, result: string): OnnxGraph['nodes'] {
  return [
    node('DynamicQuantizeLinear', ['x'], [`${result}q`, `${result}s`, `${result}z`]),
    node('MatMulInteger', [`${result}q`, weights, `${result}z`], [`${result}i`]),
    node('Cast', [`${result}i`], [`${result}f`], { to: 1 }),
    node('Mul', [`${result}s`, `${weights}s`], [`${result}t`]),
    node('Mul', [`${result}f`, `${result}t`], [result]),
  ];
}

function twoProducts(weights: readonly [string, string]): OnnxModel {
  const [one, other] = weights;
  return newModel({
    name: 'two',
    nodes: [...dynamicProduct(one, 'y'), ...dynamicProduct(other, 'v')],
    initializers: [...new Set(weights)].flatMap((name) => [
      tensor(name, [24, 8], loudWeights(24, 8, 2)),
      tensor(`${name}s`, [], Float32Array.of(0.01)),
    ]),
    inputs: [{ name: 'x', elementType: 'float32', dims: ['rows', 24] }],
    outputs: ['y', 'v'].map((name) => ({ name, elementType: 'float32', dims: ['rows', 8] })),
  });
}

describe('quantizePerToken with branches', () => {
  /** As in a merged decoder: activations are quantized and weights stored in the outer graph, products are in branches. */
  function merged(): OnnxModel {
    const branch = (name: 'then_branch' | 'else_branch', result: string) => {
      const { graph } = newModel({
        name,
        nodes: dynamicProduct('a', result).slice(1),
        initializers: [],
        inputs: [],
        outputs: [{ name: result, elementType: 'float32', dims: ['rows', 8] }],
      });
      for (const one of graph.nodes) one.inputs = one.inputs.map((input) => input.replace(/^[tu](q|s|z)$/, 'x$1'));
      return branchOf(name, graph, [ATTRIBUTE_IS_GRAPH]);
    };
    const choice = node('If', ['first'], ['y']);
    choice.attributes.push(branch('then_branch', 't'), branch('else_branch', 'u'));
    return newModel({
      name: 'merged',
      nodes: [node('DynamicQuantizeLinear', ['x'], ['xq', 'xs', 'xz']), choice],
      initializers: [tensor('a', [24, 8], LOUD), tensor('as', [], Float32Array.of(0.01))],
      inputs: [
        { name: 'x', elementType: 'float32', dims: ['rows', 24] },
        { name: 'first', elementType: 'bool', dims: [] },
      ],
      outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', 8] }],
    });
  }
  const ATTRIBUTE_IS_GRAPH = Uint8Array.of(0xa0, 0x01, 0x05);
  const LOUD = loudWeights(24, 8, 2);

  it('makes weights of products in both branches overflow-safe', async () => {
    const model = merged();
    expect(quantizePerToken(model)).to.equal(2);
    expect(mayOverflow(model.graph)).to.equal(false);
    expect(model.graph.initializers.filter(({ elementType }) => elementType === 'int8')).to.have.length(1);
    const fast = withSessionEntries(sessionOptions(OPTIONS), { x64quantprecision: '0' });
    const session = await InferenceSession.create(writeModel(model), fast);
    try {
      // All are the maximum: an overflowing product would be far off.
      const x = new Tensor('float32', new Float32Array(24).fill(3), [1, 24]);
      const truth = Array.from({ length: 8 }, (_, output) => {
        let sum = 0;
        for (let input = 0; input < 24; input++) sum += 3 * (LOUD[input * 8 + output] ?? 0) * 0.01;
        return sum;
      });
      for (const first of [true, false]) {
        const { y } = await session.run({ x, first: new Tensor('bool', [first], []) });
        const values = y?.data as Float32Array;
        truth.forEach((value, output) => {
          expect(values[output]).to.be.closeTo(value, 0.4);
        });
      }
    } finally {
      await session.release();
    }
  });
});

describe('mayOverflow', () => {
  it('is false if all products are overflow-safe, and unread constants are removed', () => {
    const model = twoProducts(['a', 'b']);
    expect(mayOverflow(model.graph)).to.equal(true);
    expect(quantizePerToken(model)).to.equal(2);
    expect(mayOverflow(model.graph)).to.equal(false);
    expect(model.graph.initializers.map(({ name }) => name)).to.not.include.members(['a', 'b']);
  });

  it('converts weights of two products once', () => {
    const model = twoProducts(['a', 'a']);
    quantizePerToken(model);
    expect(model.graph.initializers.filter(({ elementType }) => elementType === 'int8')).to.have.length(1);
  });

  it('is true if one product, here in a branch, has another form or unavailable weights', () => {
    const model = twoProducts(['a', 'b']);
    const branch = {
      ...newModel({
        name: 'then',
        nodes: [node('MatMulInteger', ['p', 'q'], ['r'])],
        initializers: [],
        inputs: [],
        outputs: [],
      }).graph,
    };
    const choice = node('If', ['c'], ['r']);
    choice.attributes.push(branchOf('then_branch', branch));
    model.graph.nodes.push(choice);
    expect(quantizePerToken(model)).to.equal(2);
    expect(mayOverflow(model.graph)).to.equal(true);

    const unread = twoProducts(['a', 'b']);
    expect(quantizePerToken(unread, (constant) => (constant.name === 'b' ? undefined : readInline(constant)))).to.equal(
      2,
    );
    expect(mayOverflow(unread.graph)).to.equal(true);
  });
});
