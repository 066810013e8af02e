import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeFolder } from '../src/index.js';
import { useTempFolder } from './support/temp-folder.js';

describe('making a folder', () => {
  const folder = useTempFolder();

  it('makes those above it too, however many do so at once', async () => {
    const paths = Array.from({ length: 32 }, (_, index) => join(folder(), 'a/b/c', String(index % 4), 'd'));
    await Promise.all(paths.map((path) => makeFolder(path)));
    for (const path of paths) expect((await stat(path)).isDirectory()).to.equal(true);
  });

  it('says what is in the way', async () => {
    await writeFile(join(folder(), 'file'), '');
    for (const path of ['file', 'file/below', 'file/further/below']) {
      const error = await makeFolder(join(folder(), path)).then(String, (reason: NodeJS.ErrnoException) => reason.code);
      expect(error).to.be.oneOf(['EEXIST', 'ENOTDIR']);
    }
  });

  it('ends where there can be no folders', async function () {
    if (process.platform !== 'linux') {
      console.log('      skipped: /proc is of Linux');
      return this.skip();
    }
    const error = await makeFolder('/proc/nowhere/further').then(
      String,
      (reason: NodeJS.ErrnoException) => reason.code,
    );
    expect(error).to.be.oneOf(['ENOENT', 'EACCES', 'EPERM']);
  });
});
