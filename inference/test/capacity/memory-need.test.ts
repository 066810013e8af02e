import { GIB, MIB } from '@heimdex/common';
import { expect } from 'chai';
import { checkMemory, workerLimitBytes } from '../../src/capacity/memory-budget.js';
import { type MemoryNeed, memoryNeed } from '../../src/capacity/memory-need.js';

type Given = Parameters<typeof memoryNeed>[0];

/** A compiled model by the bytes of its graphs. */
function compiled(family: Given['family'], precision: string, graphs: Readonly<Record<string, number>>): MemoryNeed {
  const records = Object.entries(graphs).map(([role, sizeBytes]) => {
    const files = [{ name: `${role}.onnx_data`, sizeBytes, sha256: '' }];
    return { role, cosine: undefined, recipe: {}, files };
  });
  const manifest = { precision, graphs: records } as unknown as NonNullable<Given['compiled']>;
  return memoryNeed({ family, variant: precision, files: [], compiled: manifest });
}

const gib = ({ ownBytes, mappedBytes }: MemoryNeed) => [ownBytes, mappedBytes].map((bytes) => bytes / GIB);
const medium = compiled('whisper', 'int8', { encoder: 324e6, cross: 50.8e6, decoder: 566e6 });
const siglip = compiled('siglip', 'int8', { vision: 435e6, text: 490e6 });
const sentences = compiled('sentence', 'int8', { model: 862e6 });

describe('what a model needs in memory', () => {
  it('is what compiled models used: private memory and mapped files', () => {
    const [own = 0, mapped = 0] = gib(medium);
    expect(own).to.be.within(1.3, 1.6);
    expect(mapped).to.be.within(0.05, 0.15);
    const base = compiled('whisper', 'int8', { encoder: 26.1e6, cross: 3.2e6, decoder: 103.4e6 });
    expect(gib(base)[0]).to.be.within(0.48, 0.55);
    expect(gib(siglip)[0]).to.be.within(0.9, 1.05);
    expect(gib(siglip)[1]).to.be.within(0.05, 0.15);
    expect(gib(sentences)[0]).to.be.within(0.4, 0.7);
  });

  it('is a gibibyte on a GPU, whatever the model: its weights lie in the memory of the GPU', () => {
    const half = { family: 'siglip', variant: 'fp16', files: [] } as const;
    expect(gib(memoryNeed(half, 'cuda'))).to.deep.equal([1, 0]);
  });

  it('fits the default models into 4 GiB, and a second speech worker into its own need more', () => {
    const needs = (workers: number) => [
      { name: 'medium', workers, need: medium },
      { name: 'so400m', workers: 1, need: siglip },
      { name: 'bge-m3', workers: 1, need: sentences },
    ];
    expect(() => checkMemory(needs(1), 4 * GIB)).not.to.throw();
    expect(() => checkMemory(needs(2), 4 * GIB + medium.ownBytes)).not.to.throw();
  });

  it('refuses Whisper medium if its workers would exceed the limit in turn', () => {
    expect(() => checkMemory([{ name: 'medium', workers: 1, need: medium }], 1.5 * GIB)).to.throw(
      /need about 1\.7.* raise MEMORY_LIMIT_GB/,
    );
  });

  it('counts all external weights of an exported graph', () => {
    const file = (path: string, sizeBytes: number, weights?: string) => ({ path, sizeBytes, weights });
    const need = (...files: readonly ReturnType<typeof file>[]) =>
      memoryNeed({ family: 'siglip', variant: 'fp32', files: files as unknown as Given['files'] });
    const whole = need(file('onnx/model.onnx', 3 * GIB, 'vision'));
    const [graph, data] = [file('onnx/model.onnx', 0, 'vision'), file('onnx/model.onnx_data', 2 * GIB)];
    expect(need(graph, data, file('onnx/model.onnx_data_1', GIB), file('config.json', GIB))).to.deep.equal(whole);
  });

  it('counts the weights by their precision: half precision is converted in memory, float32 is read from the file', () => {
    const [small, large] = [compiled('siglip', 'fp32', { vision: GIB }), compiled('siglip', 'fp16', { vision: GIB })];
    expect(small.mappedBytes).to.be.greaterThan(GIB);
    expect(small.ownBytes).to.be.lessThan(GIB / 4);
    expect(large.ownBytes).to.be.greaterThan(2 * GIB);
  });

  it('is by family and variant for other repositories’ graphs', () => {
    const exported = (family: Given['family'], variant: string) => {
      const file = { path: 'model.onnx', weights: 'model', sizeBytes: GIB } as Given['files'][number];
      return memoryNeed({ family, variant, files: [file] }).ownBytes;
    };
    expect(exported('whisper', 'int8')).to.be.greaterThan(2.5 * GIB);
    expect(exported('whisper', 'fp32')).to.equal(exported('siglip', 'fp32'));
  });
});

describe('the private memory limit of a worker', () => {
  it("is twice its need plus batches, within the total limit, or the variable's value", () => {
    const need = { ownBytes: GIB, mappedBytes: 10 * GIB };
    expect(workerLimitBytes(need, 0, 100 * GIB)).to.equal(4 * GIB);
    expect(workerLimitBytes(need, 0, 3 * GIB)).to.equal(3 * GIB);
    expect(workerLimitBytes(need, 500 * MIB, 3 * GIB)).to.equal(500 * MIB);
  });
});
