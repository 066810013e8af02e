import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../src/models/session/open-session.js';
import { withSessionEntries } from '../../src/models/session/optimized/recipe.js';
import { newModel, node, tensor, writeModel } from '../../src/onnx/index.js';
import { makeOverflowSafe, readInline } from '../../src/onnx/overflow-safe-weights.js';
import { loudWeights, numbers } from '../support/loud-weights.js';
import { OPTIONS } from '../support/paths.js';

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
