import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { safetensorsFile } from '@heimdex/hub';
import { expect } from 'chai';
import { compileCheckpoint } from '../src/index.js';
import { temporaryDir } from './support/dir.js';
import { BERT_CONFIG, bertTensors } from './support/stand-ins.js';

describe('a graph that cannot be written', () => {
  const dir = temporaryDir();

  it("is the system's error, with the path of the graph", async () => {
    const checkpoint = dir.write('model.safetensors', safetensorsFile(bertTensors()));
    const out = dir.fresh();
    const path = join(out, 'model.onnx');
    writeFileSync(path, 'in the way');
    const options = { checkpoint, config: BERT_CONFIG, dir: out, precision: 'fp32', overflowSafe: true } as const;
    const error = await compileCheckpoint(options).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    expect(error).to.include({ code: 'EEXIST', path });
    expect(readFileSync(path, 'utf8')).to.equal('in the way');
  });
});
