import { execFile, spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Health, InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { type FakeInference, startFakeInference } from '../support/fake-inference.js';
import { startFakeService } from '../support/fake-service.js';
import { namedPipe } from '../support/named-pipe.js';
import { heimdex } from '../support/run.js';
import { withTimeout } from '../support/with-timeout.js';

const BIN = fileURLToPath(new URL('../../../bin/heimdex.js', import.meta.url));
const execute = promisify(execFile);

/** Runs a command with a directory as that of the process. */
async function within<Result>(dir: string, run: () => Promise<Result>): Promise<Result> {
  const before = process.cwd();
  process.chdir(dir);
  try {
    return await run();
  } finally {
    process.chdir(before);
  }
}

describe('the process heimdex', () => {
  let server: FakeInference;
  before(async () => {
    server = await startFakeInference();
  });
  after(() => server.close());

  it('prints help with every command and exit status, and its version', async () => {
    const { stdout } = await heimdex(['--help']);
    for (const text of [
      'transcribe',
      'embed-image',
      'embed-text',
      'index',
      'search',
      'detect-faces',
      'info',
      'health',
      'Exit status:',
    ]) {
      expect(stdout).to.contain(text);
    }
    expect((await heimdex(['--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('exits with 3 and advice when the server is unreachable', async () => {
    const gone = await startFakeInference();
    gone.close();
    const result = await heimdex(['info'], { address: gone.address });
    expect(result.exitCode).to.equal(3);
    expect(result.stderr).to.contain(`heimdex: ${gone.address} cannot be reached: connect ECONNREFUSED`);
    expect(result.stderr).to.contain('To start it: npx heimdex-inference').and.to.contain('HEIMDEX_ADDRESS=HOST:PORT');
  });

  it('searches the index of the directory, under its former name as well', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-index-'));
    try {
      const inDir = async (...args: string[]) =>
        (await within(dir, () => heimdex(args, { address: server.address }))).stdout;
      await writeFile(join(dir, 'a.png'), '1,0');
      await inDir('index', '.');
      expect(await inDir('search', '1,0')).to.contain('a.png');
      await rename(join(dir, 'images.index'), join(dir, 'pictures.index'));
      expect(await inDir('search', '1,0')).to.contain('a.png');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('names a file that failed, also one whose name is the first word of the message', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
    try {
      await writeFile(join(dir, 'not'), 'bad');
      const { stderr } = await within(dir, () => heimdex(['embed-image', 'not'], { address: server.address }));
      expect(stderr).to.match(/^failed {2}not: not an image/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('exits with 4 on a timeout', async () => {
    let calls = 0;
    const getServerInfo = () => {
      calls += 1;
    };
    const silent = await startFakeService([[InferenceService, { getServerInfo }]]);
    try {
      const result = await withTimeout(
        (timeout) => heimdex(['info', '--timeout', timeout], { address: silent.address }),
        () => calls > 0,
      );
      expect(result.exitCode).to.equal(4);
      expect(result.stderr).to.contain('got no response').and.to.contain('--timeout SECONDS');
    } finally {
      silent.close();
    }
  });

  it('exits with 4 if every audio file took too long, and with 1 if one failed for another reason', async () => {
    let calls = 0;
    let refused = 0;
    const transcribeStream = (call: EventEmitter) => {
      calls += 1;
      if (calls === refused) call.emit('error', { code: 3, details: 'unreadable' });
    };
    const silent = await startFakeService([[InferenceService, { transcribeStream }]]);
    const transcribe =
      (...files: string[]) =>
      (timeout: string) => {
        calls = 0;
        return heimdex(['transcribe', ...files, '--timeout', timeout], { address: silent.address });
      };
    try {
      const one = await withTimeout(transcribe(BIN), () => calls === 1);
      expect(one.exitCode).to.equal(4);
      expect(one.stderr).to.contain('TranscribeStream got no response').and.to.contain('--timeout SECONDS');
      refused = 1;
      const two = await withTimeout(transcribe(BIN, BIN), ({ stderr }) => calls === 2 && stderr.includes('unreadable'));
      expect(two).to.deep.include({ exitCode: 1, stdout: '' });
    } finally {
      silent.close();
    }
  });

  const invalid: readonly (readonly [string, readonly string[]])[] = [
    ['an unknown command', ['sing']],
    ['an unknown option', ['info', '--louder']],
    ['a missing argument', ['transcribe']],
    ['an invalid number', ['health', '--wait', 'long']],
    ['contradictory options', ['health', '--wait', '1', '--watch']],
    ['a number out of range', ['transcribe', 'a', '--beam-size', '9']],
    ['an invalid choice', ['transcribe', 'a', '--format', 'pdf']],
    ['an invalid address', ['info', '--address', 'a b']],
    ['a certificate without its key', ['info', '--tls-cert', 'x']],
    ['a missing token file', ['info', '--token-file', '/nowhere/token']],
    ['an empty token file', ['info', '--token-file', '/dev/null']],
  ];
  for (const [what, args] of invalid) {
    it(`rejects ${what} and exits with 2`, async () => {
      const result = await heimdex(args, { address: server.address });
      expect(result.exitCode).to.equal(2);
      expect(result.stderr).to.not.equal('');
      expect(result.stdout).to.equal('');
    });
  }

  it('names the help that lists the options of the command', async () => {
    const { stderr } = await heimdex(['transcribe', 'a', '--format', 'pdf'], { address: server.address });
    expect(stderr).to.contain('(run heimdex transcribe --help for usage)');
    expect((await heimdex(['sing'])).stderr).to.contain('(run heimdex --help for usage)');
    expect((await heimdex(['info', '--timeout', 'x'])).stderr).to.contain('(run heimdex --help for usage)');
    expect((await heimdex(['--help'])).stdout).to.contain('--timeout <seconds>');
    const { stderr: unknown, exitCode } = await heimdex(['help', 'sing']);
    expect(unknown).to.contain("unknown command 'sing'").and.to.contain('(run heimdex --help for usage)');
    expect(exitCode).to.equal(2);
    expect((await heimdex(['help'])).stdout).to.equal((await heimdex(['--help'])).stdout);
    expect((await heimdex(['help', 'info'])).stdout).to.equal((await heimdex(['info', '--help'])).stdout);
  });

  it('exits with 130 on Ctrl-C while waiting for input', async () => {
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

  it('ends on Ctrl-C while a named pipe has no writer', async function () {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
    try {
      const pipe = namedPipe(this, join(dir, 'pipe.png'));
      for (const command of ['transcribe', 'embed-image']) {
        const asked = server.infos + server.starts.length;
        const child = spawn(process.execPath, [BIN, command, pipe, '-a', server.address], { stdio: 'ignore' });
        const exited = once(child, 'exit');
        while (server.infos + server.starts.length === asked) await new Promise((resolve) => setTimeout(resolve, 5));
        child.kill('SIGINT');
        expect(await exited, command).to.deep.equal([130, null]);
      }
      const interrupt = new AbortController();
      const waiting = heimdex(['info', '--token-file', pipe], { address: server.address, signal: interrupt.signal });
      interrupt.abort();
      expect(await waiting).to.deep.equal({ exitCode: 130, stdout: '', stderr: 'heimdex: interrupted\n' });
      const search = await heimdex(['search', '1,0', '--index', pipe], { address: server.address });
      expect(search.exitCode).to.equal(2);
      expect(search.stderr).to.contain(`${pipe} cannot be read: it is not a file`);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('says that standard input is a directory', async () => {
    const dir = openSync(tmpdir(), 'r');
    try {
      const child = spawn(process.execPath, [BIN, 'embed-text', '-a', server.address], {
        stdio: [dir, 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr?.on('data', (chunk) => {
        stderr += chunk;
      });
      const [exitCode] = await once(child, 'close');
      expect(stderr)
        .to.match(/standard input cannot be read: EISDIR/)
        .and.not.contain('a bug in');
      expect(exitCode).to.equal(1);
    } finally {
      closeSync(dir);
    }
  });

  it('exits silently when its reader closes the pipe', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
    try {
      for (let name = 0; name < 40; name += 1) await writeFile(join(dir, `${name}.png`), '1,0');
      const script = `"$0" "$1" embed-image "$2" -a "$3" | head -n 1`;
      const { stdout, stderr } = await execute('sh', ['-c', script, process.execPath, BIN, dir, server.address]);
      expect(stdout.trim().split('\n')).to.have.length(1);
      expect(stderr).to.equal('');
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  describe('with unwritable results', () => {
    before(function () {
      if (!existsSync('/dev/full')) this.skip();
    });
    const runWithOutput = (file: string, args: readonly string[], stream: 'stdout' | 'stderr' = 'stdout') => {
      const full = openSync(file, 'w');
      const stdio: ['ignore', 'pipe' | number, 'pipe' | number] = ['ignore', 'pipe', 'pipe'];
      stdio[stream === 'stdout' ? 1 : 2] = full;
      const child = spawn(process.execPath, [BIN, ...args, '-a', server.address], { stdio });
      closeSync(full);
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (chunk) => {
          output += chunk;
        });
      return once(child, 'close').then(([exitCode]) => ({ exitCode, output }));
    };

    for (const args of [['info', '--help'], ['info'], ['embed-text', '1,0', '0,1'], ['health', '--watch']]) {
      it(`reports it and exits with 74: ${args.join(' ')}`, async () => {
        const { exitCode, output } = await runWithOutput('/dev/full', args);
        expect(output).to.equal('heimdex: the results could not be written: ENOSPC: no space left on device, write\n');
        expect(exitCode).to.equal(74);
      });
    }

    it('keeps its exit status when messages cannot be written', async () => {
      expect(await runWithOutput('/dev/full', ['info', '--top'], 'stderr')).to.deep.equal({ exitCode: 2, output: '' });
      expect((await runWithOutput('/dev/full', ['info'], 'stderr')).exitCode).to.equal(0);
    });

    it('names the file and exits with 74 when a transcript cannot be written', async function () {
      const dir = await mkdtemp(join(tmpdir(), 'heimdex-cli-'));
      try {
        const audio = namedPipe(this, join(dir, 'a.wav'));
        const running = heimdex(['transcribe', audio, '--output-dir', join(dir, 'out')], { address: server.address });
        const writer = await open(audio, 'w'); // Opens when the command reads it.
        // A non-empty directory takes the name meanwhile.
        await mkdir(join(dir, 'out/a.txt/b'), { recursive: true });
        await writer.writeFile('hello');
        await writer.close();
        const result = await running;
        expect(result.stderr)
          .to.contain(`${join(dir, 'out/a.txt')} cannot be written`)
          .and.not.contain('a bug in');
        expect(result.exitCode).to.equal(74);
      } finally {
        await rm(dir, { recursive: true });
      }
    });
  });

  it('fails a watch whose first status does not arrive in time', async () => {
    let calls = 0;
    const watch = () => {
      calls += 1;
    };
    const silent = await startFakeService([[Health, { watch }]]);
    try {
      const result = await withTimeout(
        (timeout) => heimdex(['health', '--watch', '--timeout', timeout], { address: silent.address }),
        () => calls > 0,
      );
      expect(result).to.include({ exitCode: 4 });
      expect(result.stderr).to.contain('Health got no response');
    } finally {
      silent.close();
    }
  });
});
