import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashFile, type OptimizedRecord } from '@heimdex/cache';
import { expect } from 'chai';
import { Tensor } from 'onnxruntime-node';
import { openCompiled } from '../../src/models/session/compiled-session.js';
import { MANIFEST_NAME } from '../../src/models/session/optimized/manifest.js';
import {
  type GraphUse,
  isUnusable,
  NOT_READ_BACK,
  NOTHING_TO_PACK,
  type OptimizedOptions,
} from '../../src/models/session/optimized/use.js';
import { type CompiledRepository, compileRepository } from '../support/compiled.js';
import { inShared, needsShared } from '../support/paths.js';

const CHECKPOINTS = 'models/checkpoints';

async function compileTiny(name: string): Promise<CompiledRepository> {
  const files = ['config.json', 'model.safetensors'].map((path) => ({
    path,
    file: inShared(`${CHECKPOINTS}/${name}/${path}`),
  }));
  return compileRepository({ name: `tiny/${name}`, files });
}

describe('optimized models of a compiled checkpoint', function () {
  this.timeout(30_000);
  let dir: string;

  beforeEach(async function () {
    needsShared(this, CHECKPOINTS);
    dir = await mkdtemp(join(tmpdir(), 'heimdex-forms-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const openFrom = (
    compiled: CompiledRepository,
    path: string,
    uses: GraphUse[],
    prepared: Pick<OptimizedOptions, 'records' | 'make'>,
  ) =>
    openCompiled(path, {
      ...compiled.options,
      prepared: { dir, sources: { [path]: '1'.repeat(64) }, verify: 'full', ...prepared },
      onGraph: (use) => uses.push(use),
    });
  const openPrepared = (compiled: CompiledRepository, path: string, uses: GraphUse[]) =>
    openFrom(compiled, path, uses, { records: [], make: { minBytes: 0 } });

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

  it('are not made of a graph that would only be copied, nor of blockwise products, which the runtime does not read back', async () => {
    const compiled = await compileTiny('whisper-tiny-random-fp32');
    const { encoder = '', decoder = '' } = compiled.files.weights;
    const uses: GraphUse[] = [];
    for (const path of [encoder, decoder]) await (await openPrepared(compiled, path, uses)).release();
    expect(uses.map(({ graph, prepared, reason }) => [graph, prepared, reason])).to.deep.equal([
      ['encoder.onnx', false, NOTHING_TO_PACK],
      ['decoder.onnx', false, NOT_READ_BACK],
    ]);
    expect(uses.filter(isUnusable)).to.deep.equal([]);
    expect(await readdir(dir)).to.deep.equal([]);
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
    await (await openFrom(compiled, model, uses, { records: [{ ...made, files }] })).release();
    expect([uses[1]?.prepared, uses[1]?.reason]).to.deep.equal([false, NOT_READ_BACK]);
    await compiled.remove();
  });
});
