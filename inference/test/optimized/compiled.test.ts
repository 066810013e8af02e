import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashFile, type OptimizedRecord } from '@heimdex/cache';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { CompiledDecoder } from '../../src/models/decoding/compiled-decoder.js';
import { seededRandom } from '../../src/models/decoding/random.js';
import { openCompiled } from '../../src/models/session/compiled-session.js';
import { MANIFEST_NAME } from '../../src/models/session/optimized/manifest.js';
import {
  type GraphUse,
  isUnusable,
  NOT_READ_BACK,
  NOT_SHARED,
  NOTHING_TO_PACK,
  type OptimizedOptions,
} from '../../src/models/session/optimized/use.js';
import { newModel, node, type OnnxModel, tensor, writeModel } from '../../src/onnx/index.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { inShared, needsShared } from '../support/paths.js';

const CHECKPOINTS = 'models/checkpoints';
const RUNTIME = 'com.microsoft';
/** Of the random Whisper. */
const WIDTH = 64;
const SIZES = { layerCount: 2, headCount: 4, headSize: WIDTH / 4 };

async function compileTiny(name: string, precision: 'int8' | 'fp32' = 'int8'): Promise<CompiledRepository> {
  const files = ['config.json', 'model.safetensors'].map((path) => ({
    path,
    file: inShared(`${CHECKPOINTS}/${name}/${path}`),
  }));
  return compileRepository({ name: `tiny/${name}`, files }, 'model.safetensors', { precision });
}

describe('optimized models of a compiled checkpoint', () => {
  let dir: string;

  before(function () {
    needsShared(this, CHECKPOINTS);
  });
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-forms-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const preparedIn = (
    path: string,
    more: Pick<OptimizedOptions, 'records' | 'make'> = { records: [], make: { minBytes: 0, shared: true } },
  ) => ({
    prepared: { dir, sources: { [path]: '1'.repeat(64) }, verify: 'full' as const, ...more },
  });

  const openPrepared = (
    compiled: CompiledRepository,
    path: string,
    uses: GraphUse[],
    more?: Pick<OptimizedOptions, 'records' | 'make'>,
  ) => openCompiled(path, { ...compiled.options, ...preparedIn(path, more), onGraph: (use) => uses.push(use) });

  it('give the numbers of the graph, whose weights are packed', async () => {
    const compiled = await compileTiny('xlm-roberta-tiny-fp32');
    const { model = '' } = compiled.files.weights;
    const ids = new Tensor('int64', BigInt64Array.of(2n, 7n, 9n, 3n), [1, 4]);
    const feeds = { input_ids: ids, attention_mask: new Tensor('int64', new BigInt64Array(4).fill(1n), [1, 4]) };
    const uses: GraphUse[] = [];
    const outputs: unknown[] = [];
    for (const open of [() => openCompiled(model, compiled.options), () => openPrepared(compiled, model, uses)]) {
      const session = await open();
      outputs.push((await session.run(feeds)).last_hidden_state?.data);
      await session.release();
    }
    expect(uses.map(({ prepared }) => prepared)).to.deep.equal([true]);
    expect(outputs[1]).to.deep.equal(outputs[0]);
    await compiled.remove();
  });

  it('of a decoder give its numbers, of a prompt and of one token', async () => {
    const compiled = await compileTiny('whisper-tiny-random-fp32');
    const { cross = '', decoder = '' } = compiled.files.weights;
    const uses: GraphUse[] = [];
    const outputs: unknown[] = [];
    const prepared = { ...preparedIn(decoder), onGraph: (use: GraphUse) => uses.push(use) };
    for (const more of [{}, prepared]) {
      const opened = await CompiledDecoder.open({ cross, decoder }, SIZES, { ...compiled.options, ...more });
      const states = new Tensor('float32', numbers(8 * WIDTH, 3), [1, 8, WIDTH]);
      const first = await opened.start({ states }, [[7, 11, 2, 9]]);
      const scores = [...first.logits(0)];
      outputs.push([scores, [...(await opened.step(first.state, [5])).logits(0)]]);
      await opened.close();
      expect(scores.every(Number.isFinite)).to.equal(true);
    }
    expect(uses.filter((use) => use.prepared).map(({ graph }) => graph)).to.deep.equal(['decoder.onnx']);
    expect(outputs[1]).to.deep.equal(outputs[0]);
    await compiled.remove();
  });

  it('are not made of a graph that would only be copied', async () => {
    const compiled = await compileTiny('whisper-tiny-random-fp32', 'fp32');
    const { encoder = '' } = compiled.files.weights;
    const uses: GraphUse[] = [];
    await (await openPrepared(compiled, encoder, uses)).release();
    expect(uses.map(({ prepared, reason }) => [prepared, reason])).to.deep.equal([[false, NOTHING_TO_PACK]]);
    expect(uses.filter(isUnusable)).to.deep.equal([]);
    expect(await readdir(dir)).to.deep.equal([]);
    await compiled.remove();
  });

  it('are not made for one worker, which packs the weights as it loads, and used if they were made for several', async () => {
    const compiled = await compileTiny('xlm-roberta-tiny-fp32');
    const { model = '' } = compiled.files.weights;
    const uses: GraphUse[] = [];
    const openFor = async (shared: boolean, records: readonly OptimizedRecord[]) =>
      (await openPrepared(compiled, model, uses, { records, make: { minBytes: 0, shared } })).release();
    await openFor(false, []);
    expect(await readdir(dir)).to.deep.equal([]);
    await openFor(true, []);
    await openFor(false, [uses[1]?.made as OptimizedRecord]);
    expect(uses.map(({ prepared, reason }) => [prepared, reason])).to.deep.equal([
      [false, NOT_SHARED],
      [true, undefined],
      [true, undefined],
    ]);
    expect(uses.filter(isUnusable)).to.deep.equal([]);
    await compiled.remove();
  });

  it('are not used if an older program made them of a graph with blockwise products', async () => {
    const compiled = await compileTiny('xlm-roberta-tiny-fp32');
    const { model = '' } = compiled.files.weights;
    const uses: GraphUse[] = [];
    await (await openPrepared(compiled, model, uses)).release();
    const made = uses[0]?.made as OptimizedRecord;
    const path = join(dir, made.source, made.form, MANIFEST_NAME);
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    manifest.facts.opTypes.push('com.microsoft::MatMulNBits');
    const text = JSON.stringify(manifest);
    await writeFile(path, text);
    const changed = { sizeBytes: text.length, sha256: await hashFile('sha256', path) };
    const files = made.files.map((file) => (file.name === MANIFEST_NAME ? { ...file, ...changed } : file));
    await (await openPrepared(compiled, model, uses, { records: [{ ...made, files }] })).release();
    expect([uses[1]?.prepared, uses[1]?.reason]).to.deep.equal([false, NOT_READ_BACK]);
    await compiled.remove();
  });

  it('are not made of blockwise products, which the runtime does not read back', async () => {
    const path = join(dir, 'blocks.onnx');
    await writeFile(path, writeModel(blockwise()));
    const uses: GraphUse[] = [];
    const options = {
      device: 'cpu' as const,
      threads: 1,
      ...preparedIn(path),
      onGraph: (use: GraphUse) => uses.push(use),
    };
    await (await openCompiled(path, options)).release();
    expect(uses.map(({ prepared, reason }) => [prepared, reason])).to.deep.equal([[false, NOT_READ_BACK]]);
    expect(uses.filter(isUnusable)).to.deep.equal([]);
    expect(await readdir(dir)).to.deep.equal(['blocks.onnx']);
  });
});

function numbers(count: number, seed: number): Float32Array {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => random() - 0.5);
}

/** A product as the compiler writes it in blocks of 32. */
function blockwise(): OnnxModel {
  const model = newModel({
    name: 'blocks',
    nodes: [
      node(
        'MatMulNBits',
        ['x', 'w', 's'],
        ['y'],
        { K: 32, N: 16, bits: 8, block_size: 32, accuracy_level: 4 },
        RUNTIME,
      ),
    ],
    initializers: [
      tensor('w', [16, 1, 32], new Uint8Array(16 * 32).fill(130)),
      tensor('s', [16, 1], new Float32Array(16).fill(0.1)),
    ],
    inputs: [{ name: 'x', elementType: 'float32', dims: ['rows', 32] }],
    outputs: [{ name: 'y', elementType: 'float32', dims: ['rows', 16] }],
  });
  model.opsets.set(RUNTIME, 1n);
  return model;
}
