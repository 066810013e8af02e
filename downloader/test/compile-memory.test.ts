import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { bertShapes } from '@heimdex/hub';
import { expect } from 'chai';
import { runCompiler } from '../src/compile/run-compiler.js';
import { temporaryDir } from './support/volume.js';

/** A safetensors file whose weights are all 0: holes, which take no room on the disk. */
async function writeZeros(path: string, shapes: Readonly<Record<string, readonly number[]>>): Promise<number> {
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const begin = end;
      end += shape.reduce((product, size) => product * size, 4);
      return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
    }),
  );
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path, 'wx');
  await file.write(Buffer.concat([length, json]));
  await file.truncate(8 + json.length + end);
  await file.close();
  return end;
}

describe('the memory of a compile', function () {
  this.timeout(180_000);
  const dir = temporaryDir();

  it('is bounded for tensors of any size', async function () {
    const size = { width: 128, inner: 256, layers: 2, vocabulary: 500_000, positions: 64, types: 2 };
    const checkpoint = join(dir.path, 'model.safetensors');
    const checkpointBytes = await writeZeros(checkpoint, bertShapes(size));
    const config = {
      model_type: 'bert',
      hidden_size: size.width,
      intermediate_size: size.inner,
      num_hidden_layers: size.layers,
      num_attention_heads: 4,
      vocab_size: size.vocabulary,
      max_position_embeddings: size.positions,
    };
    const out = join(dir.path, 'compiled');
    await mkdir(out);
    const order = { checkpoint, config, dir: out, precision: 'int8', overflowSafe: false } as const;
    const { model, peakBytes } = await runCompiler(order, () => {}, new AbortController().signal);
    expect(model.graphs).to.have.length(1);
    if (peakBytes === undefined) {
      console.log('      skipped: this system does not say what a process holds');
      this.skip();
    }
    // The program and its runtime need 110 MB, so of the table in it no more than half was held at any time.
    expect(peakBytes).to.be.below(checkpointBytes);
  });
});
