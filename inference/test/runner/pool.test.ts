import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { startFakePool } from '../fixtures/fake-pool.js';

const WITHOUT_FILES = fileURLToPath(new URL('../fixtures/pool-without-files.js', import.meta.url));
const DIES_IN_LOADING = fileURLToPath(new URL('../fixtures/dying-worker.js', import.meta.url));

describe('a pool of workers', () => {
  it('counts a worker that cannot be started as lost, and starts it later', async function () {
    if (process.platform !== 'linux') return this.skip();
    const limited = `ulimit -n 64 && exec '${process.execPath}' '${WITHOUT_FILES}'`;
    const { stdout } = await promisify(execFile)('sh', ['-c', limited]);
    expect(stdout).to.equal('the process could not be started: too many open files (EMFILE or ENFILE)');
  });

  it('is given up when its workers are lost again and again while they load, however long that takes', async () => {
    const problem = await new Promise<string>((failed) => {
      startFakePool({ program: DIES_IN_LOADING, stableMs: 0, maxLosses: 2, failed });
    });
    expect(problem).to.match(/^The worker process of the text model died 2 times in a row: /);
  });
});
