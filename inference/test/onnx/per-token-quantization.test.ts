import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { sessionOptions } from '../../src/models/session/open-session.js';
import {
  graphFacts,
  isBatchInvariant,
  newModel,
  node,
  type OnnxModel,
  quantizePerToken,
  tensor,
  writeModel,
} from '../../src/onnx/index.js';
import { OPTIONS } from '../support/paths.js';

const INPUTS = 24;
const OUTPUTS = 8;

function noise(length: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 1_073_741_823 - 1;
  });
}

const WEIGHTS = noise(INPUTS * OUTPUTS, 1);
const WEIGHT_SCALES = Float32Array.from({ length: OUTPUTS }, (_, column) => (column + 1) / 127);

/** A product as written by quantize_dynamic: activations quantized per tensor, weights per column. */
function dynamicProduct(largestWeight = 127): OnnxModel {
  const int8 = Int8Array.from(WEIGHTS, (weight) => Math.round(weight * largestWeight));
  return newModel({
    name: 'dynamic',
    nodes: [
      node('DynamicQuantizeLinear', ['x'], ['xq', 'xs', 'xz']),
      node('MatMulInteger', ['xq', 'w', 'xz', 'wz'], ['yi']),
      node('Cast', ['yi'], ['yf'], { to: 1 }),
      node('Mul', ['xs', 'ws'], ['s']),
      node('Mul', ['yf', 's'], ['y']),
    ],
    initializers: [
      tensor('w', [INPUTS, OUTPUTS], int8),
      tensor('ws', [OUTPUTS], WEIGHT_SCALES),
      tensor('wz', [OUTPUTS], new Int8Array(OUTPUTS)),
    ],
    inputs: [{ name: 'x', elementType: 'float32', dims: ['rows', INPUTS] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', OUTPUTS] }],
  });
}

/** A product of x / 2 times 1 + erf(x / root), in 8 bits or float: GELU with the root of 2. Its weights are overflow-safe. */
function productOfErf(root: number, form: '8 bits' | 'float'): OnnxModel {
  const model = dynamicProduct(63);
  const { nodes, initializers } = model.graph;
  const weights = WEIGHTS.map((weight, at) => Math.round(weight * 63) * (WEIGHT_SCALES[at % OUTPUTS] ?? 0));
  const product =
    form === 'float'
      ? [node('MatMul', ['activations', 'weights'], ['y'])]
      : [node('DynamicQuantizeLinear', ['activations'], ['xq', 'xs', 'xz']), ...nodes.slice(1)];
  model.graph.nodes = [
    node('Div', ['x', 'root'], ['divided']),
    node('Erf', ['divided'], ['erf']),
    node('Add', ['erf', 'one'], ['gate']),
    node('Mul', ['x', 'gate'], ['doubled']),
    node('Mul', ['doubled', 'half'], ['activations']),
    ...product,
  ];
  initializers.push(tensor('weights', [INPUTS, OUTPUTS], weights));
  for (const [name, value] of Object.entries({ root, one: 1, half: 0.5 })) {
    initializers.push(tensor(name, [], Float32Array.of(value)));
  }
  return model;
}

async function run(model: OnnxModel, rows: readonly Float32Array[]): Promise<Float32Array[]> {
  const session = await InferenceSession.create(writeModel(model), sessionOptions(OPTIONS));
  try {
    const x = new Float32Array(rows.flatMap((row) => [...row]));
    const { y } = await session.run({ x: new Tensor('float32', x, [rows.length, INPUTS]) });
    const all = y?.data as Float32Array;
    return rows.map((_, row) => all.slice(row * OUTPUTS, (row + 1) * OUTPUTS));
  } finally {
    await session.release();
  }
}

/** The product in full precision. */
function exact(row: Float32Array): number[] {
  return Array.from(WEIGHT_SCALES, (scale, column) => {
    let sum = 0;
    for (let k = 0; k < INPUTS; k++) {
      sum += (row[k] ?? 0) * Math.round((WEIGHTS[k * OUTPUTS + column] ?? 0) * 127) * scale;
    }
    return sum;
  });
}

describe('quantizePerToken', () => {
  const quiet = noise(INPUTS, 2).map((value) => value / 100);
  const loud = noise(INPUTS, 3).map((value) => value * 1000);

  it('keeps a row with small values precise next to one with large values, unlike a scale per tensor', async () => {
    const before = await run(dynamicProduct(), [quiet, loud]);
    const model = dynamicProduct();
    expect(quantizePerToken(model)).to.equal(1);
    const after = await run(model, [quiet, loud]);
    for (const [index, row] of [quiet, loud].entries()) {
      const truth = exact(row);
      const largest = Math.max(...truth.map(Math.abs));
      truth.forEach((value, column) => {
        expect(after[index]?.[column]).to.be.closeTo(value, largest * 0.03);
      });
    }
    expect(Array.from(before[0] ?? [])).to.deep.equal(new Array(OUTPUTS).fill(0));
  });

  it('makes a row independent of its batch, and the graph batch-invariant', async () => {
    const model = dynamicProduct();
    expect(isBatchInvariant(graphFacts(model))).to.equal(false);
    quantizePerToken(model);
    expect(isBatchInvariant(graphFacts(model))).to.equal(true);
    const [alone] = await run(model, [quiet]);
    const [, among] = await run(model, [loud, quiet, noise(INPUTS, 4)]);
    expect(among).to.deep.equal(alone);
  });

  it('returns zeros for a row of zeros', async () => {
    const model = dynamicProduct();
    quantizePerToken(model);
    const [zeros, other] = await run(model, [new Float32Array(INPUTS), loud]);
    expect(zeros).to.have.length(OUTPUTS);
    // Of either sign.
    for (const value of zeros ?? []) expect(value === 0).to.equal(true);
    expect(other).to.deep.equal((await run(model, [loud]))[0]);
  });

  it("halves the error of GELU's outputs, but keeps the values below 0 of what only resembles it", async () => {
    const rows = Array.from({ length: 40 }, (_, seed) => noise(INPUTS, seed + 5).map((value) => value * 4));
    const errorOf = async (root: number) => {
      const model = productOfErf(root, '8 bits');
      expect(quantizePerToken(model)).to.equal(1);
      const truth = (await run(productOfErf(root, 'float'), rows)).flatMap((row) => [...row]);
      const found = (await run(model, rows)).flatMap((row) => [...row]);
      return Math.hypot(...truth.map((value, at) => value - (found[at] ?? 0))) / Math.hypot(...truth);
    };
    expect(await errorOf(Math.SQRT2)).to.be.below(0.003);
    expect(await errorOf(1000)).to.be.within(0.003, 0.005);
  });

  it('does not change a product whose parts are read elsewhere or have another form', () => {
    const model = dynamicProduct();
    model.graph.outputs.push({ name: 'yf', elementType: 'float32', dims: ['rows', OUTPUTS] });
    model.graph.nodes.push(node('Identity', ['yf'], ['also']));
    const bytes = writeModel(model);
    expect(quantizePerToken(model)).to.equal(0);
    expect(writeModel(model)).to.deep.equal(bytes);
  });
});
