import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { readJsonObject } from '../../src/json.js';
import { parseModelFile } from '../../src/onnx/index.js';
import { readTokenizerJson } from '../../src/tokenizer/slow/read.js';

describe('a file of a model that opens and cannot be read', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-unreadable-'));
  });
  after(() => rm(dir, { recursive: true }));

  // A directory opens as a file on a bad sector does, and Node.js names neither when it reads.
  for (const name of ['config.json', 'model.onnx', 'vocab.txt', 'spiece.model']) {
    it(`is named, as ${name}`, async () => {
      const own = join(dir, `of-${name}`);
      const path = join(own, name);
      await mkdir(path, { recursive: true });
      const read = async (): Promise<unknown> => {
        if (name === 'config.json') return readJsonObject(path);
        return name === 'model.onnx' ? parseModelFile(path) : readTokenizerJson(own, {});
      };
      const error = await read().catch((failure: Error) => failure);
      expect(error).to.be.instanceOf(Error);
      expect((error as Error).message)
        .to.match(/^EISDIR: .*, read '/)
        .and.to.contain(`'${path}'`);
    });
  }
});
