import { open, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDir } from '@heimdex/common';
import { expect } from 'chai';
import { makeReadable } from '../src/index.js';
import { useTempDir } from './support/temp-dir.js';

describe('making a directory', () => {
  const dir = useTempDir();

  it('creates its parents too, also concurrently', async () => {
    const paths = Array.from({ length: 32 }, (_, index) => join(dir(), 'a/b/c', String(index % 4), 'd'));
    await Promise.all(paths.map((path) => makeDir(path)));
    for (const path of paths) expect((await stat(path)).isDirectory()).to.equal(true);
  });

  it('names the file that is in the way', async () => {
    await writeFile(join(dir(), 'file'), '');
    for (const path of ['file', 'file/below', 'file/further/below']) {
      const error = await makeDir(join(dir(), path)).then(String, (reason: NodeJS.ErrnoException) => reason.code);
      expect(error).to.be.oneOf(['EEXIST', 'ENOTDIR']);
    }
  });

  it('fails where directories cannot exist', async function () {
    if (process.platform !== 'linux') {
      console.log('      skipped: /proc is of Linux');
      return this.skip();
    }
    const error = await makeDir('/proc/nowhere/further').then(String, (reason: NodeJS.ErrnoException) => reason.code);
    expect(error).to.be.oneOf(['ENOENT', 'EACCES', 'EPERM']);
  });
});

describe('making a file readable', () => {
  const dir = useTempDir();

  for (const [mode, outcome] of [
    [0o644, 'done'],
    [0o600, 'EPERM'],
  ] as const) {
    it(`on a file system that changes no mode: ${outcome} for a file of mode ${mode.toString(8)}`, async () => {
      const path = join(dir(), 'file');
      await writeFile(path, '', { mode });
      const file = await open(path);
      const refusal = Object.assign(new Error('EPERM: operation not permitted, fchmod'), { code: 'EPERM' });
      const result = makeReadable({ chmod: () => Promise.reject(refusal), stat: file.stat.bind(file) });
      expect(
        await result.then(
          () => 'done',
          (error: NodeJS.ErrnoException) => error.code,
        ),
      ).to.equal(outcome);
      await file.close();
    });
  }
});
