import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { fuseHeads } from '../../src/models/yunet/graph.js';
import { FaceNetwork } from '../../src/models/yunet/network.js';
import type { GridOutput } from '../../src/models/yunet/postprocess.js';
import type { NetworkInput } from '../../src/models/yunet/preprocess.js';
import {
  node,
  type OnnxModel,
  type OnnxNode,
  parseModel,
  parseModelFile,
  tensor,
  withTensorsOf,
  writeModel,
} from '../../src/onnx/index.js';
import { namelessFaces } from '../support/faces.js';
import { inRepository, inShared, needsShared, OPTIONS } from '../support/paths.js';

const YUNET = 'models/opencv/face_detection_yunet/face_detection_yunet_2023mar.onnx';
const POCKET = inRepository('demo/models/heimdex/face-pocket/face_detection_pocket.onnx');

function pattern(length: number): Float32Array {
  return Float32Array.from({ length }, (_, at) => (at * 2_654_435_761) >>> 24);
}

function input(images: number): NetworkInput {
  return { values: pattern(images * 3 * 64 * 96), images, width: 96, height: 64 };
}

const valuesOf = (grids: readonly GridOutput[] = []): number[] =>
  grids.flatMap(({ cls, obj, bbox, kps }) => [cls, obj, bbox, kps].flatMap((one) => [...one]));

function expectSame(grids: readonly GridOutput[] | undefined, others: readonly GridOutput[] | undefined): void {
  const [one, other] = [valuesOf(grids), valuesOf(others)];
  expect(one.length).to.equal(other.length).and.to.be.above(0);
  const furthest = one.reduce(
    (most, value, index) => Math.max(most, Math.abs(value - (other[index] ?? Number.NaN))),
    0,
  );
  expect(furthest).to.be.below(1e-3);
}

describe("the detector's network", () => {
  let dir: string;

  before(async () => {
    dir = await namelessFaces();
  });
  after(() => rm(dir, { recursive: true }));

  /** The network, whose nodes read the output of others instead of the input: `image`. */
  async function readsBehind(...others: readonly OnnxNode[]): Promise<OnnxModel> {
    const model = parseModel(await readFile(join(dir, 'faces.onnx')));
    for (const { inputs } of model.graph.nodes)
      inputs.splice(0, 1, inputs[0] === 'input' ? 'image' : (inputs[0] ?? ''));
    model.graph.nodes.unshift(...others);
    return model;
  }

  it('gives each image of a run what it gives it alone', async () => {
    const network = await FaceNetwork.open(join(dir, 'faces.onnx'), OPTIONS);
    const both = input(2);
    const together = await network.run(both);
    expect(together.length).to.equal(2);
    for (const [index, grids] of together.entries()) {
      const size = both.values.length / 2;
      const values = both.values.slice(index * size, (index + 1) * size);
      expectSame(grids, (await network.run({ ...both, values, images: 1 }))[0]);
    }
    await network.close();
  });

  it('runs images one by one where the graph takes only one', async () => {
    const model = await readsBehind(
      node('Squeeze', ['input'], ['single'], { axes: [0] }),
      node('Unsqueeze', ['single'], ['image'], { axes: [0] }),
    );
    await writeFile(join(dir, 'single.onnx'), writeModel(model));
    const network = await FaceNetwork.open(join(dir, 'single.onnx'), OPTIONS);
    const several = await FaceNetwork.open(join(dir, 'faces.onnx'), OPTIONS);
    const [all, expected] = [await network.run(input(2)), await several.run(input(2))];
    expect(network.fixedSide).to.equal(undefined);
    for (const [index, grids] of all.entries()) expectSame(grids, expected[index]);
    await Promise.all([network.close(), several.close()]);
  });

  it('runs images in the size that the graph declares where it has one inside', async () => {
    const side = 96;
    const model = await readsBehind(node('Reshape', ['input', 'inside'], ['image']));
    model.graph.initializers.push(tensor('inside', [4], BigInt64Array.of(1n, 3n, BigInt(side), BigInt(side))));
    for (const one of model.graph.inputs) one.dims = [1, 3, side, side];
    await writeFile(join(dir, 'inside.onnx'), writeModel(model));
    const network = await FaceNetwork.open(join(dir, 'inside.onnx'), OPTIONS);
    expect(network.fixedSide).to.equal(side);
    const several = await FaceNetwork.open(join(dir, 'faces.onnx'), OPTIONS);
    const square = { values: pattern(2 * 3 * side * side), images: 2, width: side, height: side };
    const [all, expected] = [await network.run(square), await several.run(square)];
    for (const [index, grids] of all.entries()) expectSame(grids, expected[index]);
    await Promise.all([network.close(), several.close()]);
  });

  it("computes the outputs of YuNet's grids together, to the values of its file", async function () {
    needsShared(this, YUNET);
    const path = inShared(YUNET);
    const model = parseModelFile(path);
    expect(withTensorsOf(path, (read) => fuseHeads(model, read))).to.equal(true);
    const side = 640;
    const values = pattern(3 * side * side);
    const network = await FaceNetwork.open(path, OPTIONS);
    const [grids = []] = await network.run({ values, images: 1, width: side, height: side });
    const original = await InferenceSession.create(path, { logSeverityLevel: 4 });
    const outputs = await original.run({ input: new Tensor('float32', values, [1, 3, side, side]) });
    const expected = grids.map((grid) => {
      const floats = (kind: string) => outputs[`${kind}_${grid.stride}`]?.data as Float32Array;
      return { ...grid, cls: floats('cls'), obj: floats('obj'), bbox: floats('bbox'), kps: floats('kps') };
    });
    expectSame(grids, expected);
    await Promise.all([network.close(), original.release()]);
  });

  it('leaves grids of another form alone', () => {
    const model = parseModelFile(POCKET);
    const before = model.graph.nodes.length;
    expect(withTensorsOf(POCKET, (read) => fuseHeads(model, read))).to.equal(false);
    expect(model.graph.nodes.length).to.equal(before);
  });
});
