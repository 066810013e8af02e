import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesField, concatBytes, varint, varintField } from '@heimdex/onnx';
import { expect } from 'chai';
import { InferenceSession } from 'onnxruntime-node';
import {
  eachTensor,
  graphFacts,
  isBatchInvariant,
  newModel,
  node,
  type OnnxModel,
  parseModel,
  parseModelFile,
  readGraphFacts,
  tensor,
  withExternalWeights,
  writeModel,
} from '../../src/onnx/index.js';
import { branchOf } from '../support/graphs.js';

/** y = x W, with a weight large enough to remain in its file. */
function product(): OnnxModel {
  return newModel({
    name: 'product',
    nodes: [node('MatMul', ['x', 'weight'], ['y'])],
    initializers: [
      tensor(
        'weight',
        [32, 16],
        Float32Array.from({ length: 512 }, (_, i) => i / 512),
      ),
    ],
    inputs: [{ name: 'x', elementType: 'float32', dims: ['batch', 32] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['batch', 16] }],
  });
}

describe('ONNX files', () => {
  let dir: string;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-onnx-'));
  });

  after(() => rm(dir, { recursive: true }));

  it('are parsed as they were written', () => {
    const model = { ...product(), producer: 'a test' };
    model.graph.nodes[0]?.attributes.push(...node('Cast', [], ['c'], { to: -1, axes: [0, -2] }).attributes);
    const read = parseModel(writeModel(model));
    expect(writeModel(read)).to.deep.equal(writeModel(model));
    expect(read.producer).to.equal('a test');
    expect(read.graph.inputs).to.deep.equal(model.graph.inputs);
    expect(read.graph.nodes[0]?.attributes.map(({ int, ints }) => ({ int, ints }))).to.deep.equal([
      { int: -1n, ints: [] },
      { int: undefined, ints: [0n, -2n] },
    ]);
  });

  it('are parsed from a Buffer slice without sharing its memory', () => {
    const bytes = Buffer.concat([Buffer.alloc(7), writeModel(product())]).subarray(7);
    const read = parseModel(bytes);
    const [weight] = read.graph.initializers;
    const data = weight?.data?.kind === 'inline' ? weight.data.bytes : new Uint8Array();
    expect(new Float32Array(data.slice().buffer)[511]).to.equal(511 / 512);
  });

  it('keep large weights in the file, as ranges', async () => {
    const path = join(dir, 'product.onnx');
    const bytes = writeModel(product());
    await writeFile(path, bytes);
    const model = parseModelFile(path);
    const data = model.graph.initializers[0]?.data;
    expect(data?.kind).to.equal('range');
    expect(() => writeModel(model)).to.throw('range of a file');
    const inFile = data?.kind === 'range' ? bytes.slice(data.offset, data.offset + data.length) : new Uint8Array();
    expect(new Float32Array(inFile.buffer)[100]).to.be.closeTo(100 / 512, 1e-7);

    const transformed = parseModel(writeModel(withExternalWeights(model, 'product.onnx')));
    expect(transformed.graph.initializers[0]?.data).to.deep.equal({
      ...data,
      kind: 'external',
      location: 'product.onnx',
    });
  });

  it('have operators, including those in branches, inputs and outputs as facts', async () => {
    const model = product();
    const branch = product().graph;
    branch.nodes = [
      node('DynamicQuantizeLinear', ['x'], ['q', 's', 'z']),
      node('FusedMatMul', [], ['f'], {}, 'com.microsoft'),
    ];
    const choice = node('If', ['c'], ['r']);
    choice.attributes.push(branchOf('then_branch', branch));
    model.graph.nodes.push(choice);
    const path = join(dir, 'branches.onnx');
    await writeFile(path, writeModel(model));
    const facts = readGraphFacts(path);
    expect([...facts.opTypes].sort()).to.deep.equal([
      'DynamicQuantizeLinear',
      'If',
      'MatMul',
      'com.microsoft::FusedMatMul',
    ]);
    expect(facts.inputs).to.deep.equal([{ name: 'x', elementType: 'float32', dims: ['batch', 32] }]);
    expect(isBatchInvariant(facts)).to.equal(false);
    expect(isBatchInvariant(graphFacts(product()))).to.equal(true);
  });

  it('have small constants as raw bytes for any encoding in the file', () => {
    // TensorProto of dims [2], int64_data [-1, 2], name "n"; and of dims [2], float_data [1, -2].
    const int64s = Uint8Array.of(
      8,
      2,
      16,
      7,
      58,
      11,
      ...[255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
      2,
      66,
      1,
      110,
    );
    const floats = Uint8Array.of(8, 2, 16, 1, 34, 8, 0, 0, 128, 63, 0, 0, 0, 192, 66, 1, 102);
    const field = (bytes: Uint8Array) => [42, bytes.length, ...bytes];
    const graph = [...field(int64s), ...field(floats)];
    const model = parseModel(Uint8Array.of(58, graph.length, ...graph));
    const found: Record<string, ArrayLike<number | bigint>> = {};
    eachTensor(model.graph, ({ name, elementType, data }) => {
      const buffer = data?.kind === 'inline' ? data.bytes.slice().buffer : new ArrayBuffer(0);
      found[name] = elementType === 'int64' ? new BigInt64Array(buffer) : new Float32Array(buffer);
    });
    expect(Array.from(found.n ?? [])).to.deep.equal([-1n, 2n]);
    expect(Array.from(found.f ?? [])).to.deep.equal([1, -2]);
  });

  it('have any number of integers in the fields of constants, as quantized by tools that use no raw data', () => {
    const varint = (value: number): number[] => (value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]);
    const field = (number: number, bytes: Uint8Array) =>
      Buffer.concat([Uint8Array.of((number << 3) | 2, ...varint(bytes.length)), bytes]);
    const count = 200_000;
    // TensorProto of dims [count], data type int8, int32_data [1, 1, ...].
    const head = Uint8Array.of(8, ...varint(count), 16, 3);
    const weights = Buffer.concat([head, field(5, new Uint8Array(count).fill(1))]);
    const [initializer] = parseModel(field(7, field(5, weights))).graph.initializers;
    expect(initializer?.data).to.deep.equal({ kind: 'inline', bytes: new Uint8Array(count).fill(1) });
    // The value_ints of a Constant.
    const [constant] = parseModel(field(7, field(1, field(5, field(8, new Uint8Array(count)))))).graph.nodes;
    expect(constant?.attributes[0]?.ints).to.have.lengthOf(count);
  });

  /** A model of graphs in each other: the attribute of a node has the next one. */
  function nested(depth: number): Uint8Array {
    let graph: Uint8Array = new Uint8Array(0);
    for (let at = 1; at < depth; at++) graph = bytesField(1, bytesField(5, bytesField(6, graph)));
    return bytesField(7, graph);
  }

  it('have integers of every size as raw bytes, from a payload that is read in parts', async () => {
    const numbers = [0n, 127n, 128n, -1n, 2n ** 28n, 2n ** 35n - 1n, -(2n ** 63n), 2n ** 63n - 1n];
    const repeated = Array.from({ length: 60_000 }, (_, at) => numbers[at % numbers.length] as bigint);
    const payload = concatBytes(repeated.map(varint));
    const path = join(dir, 'integers.onnx');
    for (const [type, field, valuesOf] of [
      [7, 7, (values: bigint[]) => BigInt64Array.from(values)],
      [6, 5, (values: bigint[]) => Int32Array.from(values, (value) => Number(BigInt.asIntN(32, value)))],
      [3, 5, (values: bigint[]) => Int8Array.from(values, (value) => Number(BigInt.asIntN(8, value)))],
    ] as const) {
      const typed = concatBytes([varintField(2, type), bytesField(field, payload)]);
      await writeFile(path, bytesField(7, bytesField(5, typed)));
      const [initializer] = parseModelFile(path).graph.initializers;
      const bytes = new Uint8Array(valuesOf(repeated).buffer);
      expect(initializer?.data).to.deep.equal({ kind: 'inline', bytes });
    }
  });

  for (const [what, data] of [
    ['raw data', bytesField(9, Uint8Array.of(0x21))],
    ['integers', bytesField(5, Uint8Array.of(0x21))],
  ] as const) {
    it(`keep constants of 4 bits, as exports of a quarter of the size have them, in ${what}`, async () => {
      const model = newModel({
        name: 'four bits',
        nodes: [node('DequantizeLinear', ['steps', 'scale'], ['values'])],
        initializers: [tensor('scale', [], Float32Array.of(0.5))],
        inputs: [],
        outputs: [{ name: 'values', elementType: 'float32', dims: [2] }],
      });
      model.opsets.set('', 21n);
      // TensorProto of dims [2], data type uint4, name "steps".
      const steps = concatBytes([varintField(1, 2), varintField(2, 21), bytesField(8, 'steps'), data]);
      model.graph.rest.push(bytesField(5, steps));
      const written = writeModel(parseModel(writeModel({ ...model, irVersion: 10n })));
      const session = await InferenceSession.create(written, { logSeverityLevel: 4 });
      const { values } = await session.run({});
      await session.release();
      expect(values?.data).to.deep.equal(Float32Array.of(0.5, 1));
    });
  }

  it('keep the types of values that are no tensors', async () => {
    const model = newModel({
      name: 'sequence',
      nodes: [node('SequenceLength', ['list'], ['count'])],
      initializers: [],
      inputs: [],
      outputs: [{ name: 'count', elementType: 'int64', dims: [] }],
    });
    // ValueInfoProto of a sequence of tensors of float32.
    const sequence = bytesField(4, bytesField(1, bytesField(1, varintField(1, 1))));
    model.graph.rest.push(bytesField(11, concatBytes([bytesField(1, 'list'), bytesField(2, sequence)])));
    const read = parseModel(writeModel(model));
    expect(read.graph.inputs).to.have.lengthOf(1);
    const session = await InferenceSession.create(writeModel(read), { logSeverityLevel: 4 });
    expect(session.inputNames).to.deep.equal(['list']);
    await session.release();
  });

  it('of millions of integers without raw data take little more memory than the integers', () => {
    const count = 4_000_000;
    const typed = concatBytes([varintField(2, 3), bytesField(5, new Uint8Array(count).fill(1))]);
    const model = bytesField(7, bytesField(5, typed));
    const before = process.memoryUsage().rss;
    const [initializer] = parseModel(model).graph.initializers;
    expect(process.memoryUsage().rss - before).to.be.below(64 << 20);
    expect(initializer?.data).to.have.property('bytes').with.lengthOf(count);
  });

  it('are rejected with where a number has no end', () => {
    expect(() => parseModel(Uint8Array.of(8, 0xff))).to.throw('number at byte 1, but the message ends');
    expect(() => parseModel(new Uint8Array(40).fill(0xff))).to.throw('at most 10 bytes at byte 0, got a longer');
  });

  it('are rejected with where a field ends behind its message, though not behind the file', () => {
    const reaching = Uint8Array.of(58, 2, 10, 5, 8, 0, 0, 0, 0);
    expect(() => parseModel(reaching)).to.throw('ends within its message at byte 2, got 5 bytes');
  });

  it('may have many graphs in each other', () => {
    expect(parseModel(nested(33)).graph.nodes).to.have.lengthOf(1);
  });

  const hostile: Readonly<Record<string, Uint8Array>> = {
    'more graphs in each other than the runtime reads': nested(34),
    'graphs in each other without an end': nested(3000),
    'nothing at all': new Uint8Array(0),
    'a text': new TextEncoder().encode('Once upon a time there was a model.'),
    'a file that ends in the middle': writeModel(product()).subarray(0, 700),
    'a length of more than there is': Uint8Array.of(58, 255, 255, 255, 255, 127),
  };
  for (const [what, bytes] of Object.entries(hostile)) {
    it(`are rejected if they are ${what}`, () => {
      expect(() => parseModel(bytes)).to.throw(/^Expected/);
    });
  }
});
