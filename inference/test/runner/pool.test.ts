import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';

const WITHOUT_FILES = fileURLToPath(new URL('../fixtures/pool-without-files.js', import.meta.url));

describe('a pool of workers', () => {
  it('counts a worker that cannot be started as lost, and starts it later', async function () {
    if (process.platform !== 'linux') return this.skip();
    const limited = `ulimit -n 64 && exec '${process.execPath}' '${WITHOUT_FILES}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', limited]);
    expect(stdout).to.equal('the process could not be started: too many open files (EMFILE or ENFILE)');
  });
});
