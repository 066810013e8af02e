import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDir } from '@heimdex/common';
import { expect } from 'chai';
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
