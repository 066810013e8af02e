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
  type OnnxValue,
  quantizePerToken,
  tensor,
  writeModel,
} from '../../src/onnx/index.js';
import { readInline } from '../../src/onnx/overflow-safe-weights.js';
import { branchOf } from '../support/graphs.js';
import { loudWeights } from '../support/loud-weights.js';
import { OPTIONS } from '../support/paths.js';

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
    const outputs: OnnxValue[] = [{ name: 'r', elementType: 'int32', dims: undefined }];
    const nodes = [node('MatMulInteger', ['p', 'q'], ['r'])];
    const branch = newModel({ name: 'then', nodes, initializers: [], inputs: [], outputs }).graph;
    const choice = node('If', ['c'], ['r']);
    choice.attributes.push(branchOf('then_branch', branch));
    model.graph.nodes.push(choice);
    model.graph.outputs.push(...outputs);
    expect(quantizePerToken(model)).to.equal(2);
    expect(mayOverflow(model.graph)).to.equal(true);

    const unread = twoProducts(['a', 'b']);
    expect(quantizePerToken(unread, (constant) => (constant.name === 'b' ? undefined : readInline(constant)))).to.equal(
      2,
    );
    expect(mayOverflow(unread.graph)).to.equal(true);
  });
});
