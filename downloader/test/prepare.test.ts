import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { lastLine, runHere, testEnvironment } from './support/program.js';
import { temporaryDir } from './support/volume.js';

describe('prepare', () => {
  const dir = temporaryDir();

  it('runs the server installed next to it, and reports its failure', async () => {
    const result = await runHere(['prepare'], testEnvironment(dir.path, 'http://127.0.0.1:9'));
    expect(result.status).to.equal(1);
    expect(lastLine(result)).to.include({ code: 'PREPARE_FAILED' });
    expect(lastLine(result).msg).to.include('ended with exit status 3; see above');
  });

  it('names the signal that ended the server, as the kernel does for want of memory', async () => {
    const killed = join(dir.path, 'killed.cjs');
    await writeFile(killed, "process.kill(process.pid, 'SIGKILL')");
    const env = testEnvironment(dir.path, 'http://127.0.0.1:9', { NODE_OPTIONS: `--require=${killed}` });
    const result = await runHere(['prepare'], env);
    expect(result.status).to.equal(1);
    expect(lastLine(result).msg)
      .to.include('ended with SIGKILL, possibly out of memory')
      .and.match(/heimdex-downloader prepare$/);
  });
});
