import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { type FakeInference, startFakeInference } from '../support/fake-inference.js';
import { startFakeService } from '../support/fake-service.js';
import { heimdex } from '../support/run.js';

const BIN = fileURLToPath(new URL('../../../bin/heimdex.js', import.meta.url));
const execute = promisify(execFile);

describe('the process heimdex', () => {
  let server: FakeInference;
  before(async () => {
    server = await startFakeInference();
  });
  after(() => server.close());

  it('has help for every command, with the exit codes, and a version', async () => {
    const { stdout } = await execute(process.execPath, [BIN, '--help']);
    for (const text of [
      'transcribe',
      'embed-image',
      'embed-text',
      'index',
      'search',
      'detect-faces',
      'info',
      'health',
      'Exit codes:',
    ]) {
      expect(stdout).to.contain(text);
    }
    expect((await execute(process.execPath, [BIN, '--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('says what to do when no server is there, and ends with 3', async () => {
    const gone = await startFakeInference();
    gone.close();
    const result = await heimdex(['info'], { address: gone.address });
    expect(result.exitCode).to.equal(3);
    expect(result.stderr).to.contain(`heimdex: ${gone.address} cannot be reached: connect ECONNREFUSED`);
    expect(result.stderr).to.contain('To start it: npx heimdex-inference').and.to.contain('HEIMDEX_ADDRESS=HOST:PORT');
  });

  it('ends with 4 when the time is up', async () => {
    const silent = await startFakeService([[InferenceService, { getServerInfo: () => undefined }]]);
    try {
      const result = await heimdex(['info', '--timeout', '0.05'], { address: silent.address });
      expect(result.exitCode).to.equal(4);
      expect(result.stderr).to.contain('got no answer').and.to.contain('--timeout SECONDS');
    } finally {
      silent.close();
    }
  });

  const wrong: readonly (readonly [string, readonly string[]])[] = [
    ['an unknown command', ['sing']],
    ['an unknown option', ['info', '--louder']],
    ['a missing argument', ['transcribe']],
    ['a number that is none', ['health', '--wait', 'long']],
    ['a number out of range', ['transcribe', 'a', '--beam-size', '9']],
    ['a choice that is none', ['transcribe', 'a', '--format', 'pdf']],
    ['an address that is none', ['info', '--address', 'a b']],
    ['a certificate without its key', ['info', '--tls-cert', 'x']],
    ['a token file that is not there', ['info', '--token-file', '/nowhere/token']],
  ];
  for (const [what, args] of wrong) {
    it(`refuses ${what} and ends with 2`, async () => {
      const result = await heimdex(args, { address: server.address });
      expect(result.exitCode).to.equal(2);
      expect(result.stderr).to.not.equal('');
      expect(result.stdout).to.equal('');
    });
  }

  it('ends with 130 on Ctrl-C, while it waits for its input', async () => {
    const child = spawn(process.execPath, [BIN, 'transcribe', '-', '-a', server.address], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const started = server.starts.length;
    child.stdin.write('some audio');
    while (server.starts.length === started) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGINT');
    const [exitCode] = await once(child, 'exit');
    expect(exitCode).to.equal(130);
  });

  it('ends quietly when its reader has gone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
    try {
      for (let name = 0; name < 40; name += 1) await writeFile(join(folder, `${name}.png`), '1,0');
      const script = `"$0" "$1" embed-image "$2" -a "$3" | head -n 1`;
      const { stdout, stderr } = await execute('sh', ['-c', script, process.execPath, BIN, folder, server.address]);
      expect(stdout.trim().split('\n')).to.have.length(1);
      expect(stderr).to.equal('');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
