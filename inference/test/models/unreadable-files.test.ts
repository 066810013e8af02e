import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { readJsonObject } from '../../src/json.js';
import { parseModelFile } from '../../src/onnx/index.js';
import { readTokenizerJson } from '../../src/tokenizer/slow/read.js';
import { rejectionOf } from '../support/rejection.js';

describe('a file of a model that opens and cannot be read', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'heimdex-unreadable-'));
  });
  after(() => rm(dir, { recursive: true }));

  // A directory opens as a file on a bad sector does, and Node.js names neither when it reads.
  const tokenizer = (path: string) => readTokenizerJson(dirname(path), {});
  for (const [name, read] of Object.entries<(path: string) => Promise<unknown>>({
    'config.json': readJsonObject,
    'model.onnx': async (path) => parseModelFile(path),
    'vocab.txt': tokenizer,
    'spiece.model': tokenizer,
  })) {
    it(`is named, as ${name}`, async () => {
      const path = join(dir, `of-${name}`, name);
      await mkdir(path, { recursive: true });
      expect((await rejectionOf(read(path), Error)).message)
        .to.match(/^EISDIR: .*, read '/)
        .and.to.contain(`'${path}'`);
    });
  }
});
