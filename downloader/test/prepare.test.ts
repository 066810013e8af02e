import { expect } from 'chai';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { temporaryDir } from './support/volume.js';

describe('prepare', () => {
  const dir = temporaryDir();

  it('runs the server installed next to it, and reports its failure', async () => {
    const result = await runHere(['prepare'], testEnvironment(dir.path, 'http://127.0.0.1:9'));
    expect(result.status).to.equal(1);
    expect(lastLine(result)).to.include({ code: 'PREPARE_FAILED' });
  });
});
