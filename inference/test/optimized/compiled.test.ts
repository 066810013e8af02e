import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openCompiled } from '../../src/models/session/compiled-session.js';
import { type GraphUse, isUnusable } from '../../src/models/session/optimized/use.js';
import { compileRepository } from '../support/compiled.js';
import { inShared, needsShared } from '../support/paths.js';

const TINY = 'models/checkpoints/whisper-tiny-random-fp32';

describe('optimized models of a compiled checkpoint', function () {
  this.timeout(30_000);

  it('are made of the graph whose weights are packed, and not of one that would only be copied', async function () {
    needsShared(this, TINY);
    const files = ['config.json', 'model.safetensors'].map((path) => ({ path, file: inShared(`${TINY}/${path}`) }));
    const compiled = await compileRepository({ name: 'tiny/whisper', files });
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-forms-'));
    const uses: GraphUse[] = [];
    const { encoder = '', decoder = '' } = compiled.files.weights;
    for (const [index, path] of [encoder, decoder].entries()) {
      const sources = { [path]: String(index).repeat(64) };
      const session = await openCompiled(path, {
        ...compiled.options,
        prepared: { dir, sources, records: [], verify: 'full', make: { minBytes: 0 } },
        onGraph: (use) => uses.push(use),
      });
      await session.release();
    }
    expect(uses.map(({ graph, prepared }) => [graph, prepared])).to.deep.equal([
      ['encoder.onnx', false],
      ['decoder.onnx', true],
    ]);
    expect(isUnusable(uses[0] as GraphUse)).to.equal(false);
    expect(await readdir(dir)).to.deep.equal(['1'.repeat(64)]);
    await compiled.remove();
    await rm(dir, { recursive: true });
  });
});
