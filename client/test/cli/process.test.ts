import { execFile, spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, open as openFile, rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Health, InferenceService } from '@heimdex/gen';
import { expect } from 'chai';
import { useCli } from '../support/cli-fixture.js';
import { closedAfterEach } from '../support/closed-after-each.js';
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
  const cli = useCli();
  const { run, file } = cli;
  const open = closedAfterEach();

  it('prints help with every command and exit status, and its version', async () => {
    const { stdout } = await heimdex(['--help']);
    const commands = 'transcribe embed-image embed-text index search detect-faces info models health'.split(' ');
    for (const text of [...commands, 'Exit status:']) expect(stdout).to.contain(text);
    expect((await heimdex(['--version'])).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });

  it('exits with 3 and advice when the server is unreachable', async () => {
    cli.server.close();
    const result = await run(['info']);
    expect(result.exitCode).to.equal(3);
    expect(result.stderr).to.contain(`heimdex: ${cli.server.address} cannot be reached: connect ECONNREFUSED`);
    expect(result.stderr).to.contain('To start it: npx heimdex-inference').and.to.contain('HEIMDEX_ADDRESS=HOST:PORT');
  });

  it('searches the index of the directory, under its former name as well', async () => {
    const inDir = async (...args: string[]) => (await within(cli.dir, () => run(args))).stdout;
    await file('a.png', '1,0');
    await inDir('index', '.');
    expect(await inDir('search', '1,0')).to.contain('a.png');
    await rename(join(cli.dir, 'images.index'), join(cli.dir, 'pictures.index'));
    expect(await inDir('search', '1,0')).to.contain('a.png');
  });

  it('names a file that failed, also one whose name is the first word of the message', async () => {
    await file('not', 'bad');
    const { stderr } = await within(cli.dir, () => run(['embed-image', 'not']));
    expect(stderr).to.match(/^failed {2}not: not an image/);
  });

  it('exits with 4 on a timeout', async () => {
    let calls = 0;
    const getServerInfo = () => {
      calls += 1;
    };
    const { address } = open(await startFakeService([[InferenceService, { getServerInfo }]]));
    const result = await withTimeout(
      (timeout) => heimdex(['info', '--timeout', timeout], { address }),
      () => calls > 0,
    );
    expect(result.exitCode).to.equal(4);
    expect(result.stderr).to.contain('got no response').and.to.contain('--timeout SECONDS');
  });

  it('exits with 4 if every audio file took too long, and with 1 if one failed for another reason', async () => {
    let calls = 0;
    let refused = 0;
    const transcribeStream = (call: EventEmitter) => {
      calls += 1;
      if (calls === refused) call.emit('error', { code: 3, details: 'unreadable' });
    };
    const { address } = open(await startFakeService([[InferenceService, { transcribeStream }]]));
    const transcribe =
      (...files: string[]) =>
      (timeout: string) => {
        calls = 0;
        return heimdex(['transcribe', ...files, '--timeout', timeout], { address });
      };
    const one = await withTimeout(transcribe(BIN), () => calls === 1);
    expect(one.exitCode).to.equal(4);
    expect(one.stderr).to.contain('TranscribeStream got no response').and.to.contain('--timeout SECONDS');
    refused = 1;
    const two = await withTimeout(transcribe(BIN, BIN), ({ stderr }) => calls === 2 && stderr.includes('unreadable'));
    expect(two).to.deep.include({ exitCode: 1, stdout: '' });
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
      const result = await run(args);
      expect(result.exitCode).to.equal(2);
      expect(result.stderr).to.not.equal('');
      expect(result.stdout).to.equal('');
    });
  }

  it('names the help that lists the options of the command', async () => {
    const { stderr } = await run(['transcribe', 'a', '--format', 'pdf']);
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
    const child = spawn(process.execPath, [BIN, 'transcribe', '-', '-a', cli.server.address]);
    child.stdin.write('some audio');
    while (cli.server.starts.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    child.kill('SIGINT');
    const [exitCode] = await once(child, 'exit');
    expect(exitCode).to.equal(130);
  });

  it('ends on Ctrl-C while a named pipe has no writer', async function () {
    const pipe = namedPipe(this, join(cli.dir, 'pipe.png'));
    const { server } = cli;
    for (const command of ['transcribe', 'embed-image']) {
      const asked = server.infos + server.starts.length;
      const child = spawn(process.execPath, [BIN, command, pipe, '-a', server.address], { stdio: 'ignore' });
      const exited = once(child, 'exit');
      while (server.infos + server.starts.length === asked) await new Promise((resolve) => setTimeout(resolve, 5));
      child.kill('SIGINT');
      expect(await exited, command).to.deep.equal([130, null]);
    }
    const interrupt = new AbortController();
    const waiting = run(['info', '--token-file', pipe], { signal: interrupt.signal });
    interrupt.abort();
    expect(await waiting).to.deep.equal({ exitCode: 130, stdout: '', stderr: 'heimdex: interrupted\n' });
    const search = await run(['search', '1,0', '--index', pipe]);
    expect(search.exitCode).to.equal(2);
    expect(search.stderr).to.contain(`${pipe} cannot be read: it is not a file`);
  });

  it('says that standard input is a directory', async () => {
    const dir = openSync(tmpdir(), 'r');
    try {
      const child = spawn(process.execPath, [BIN, 'embed-text', '-a', cli.server.address], {
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
    for (let name = 0; name < 40; name += 1) await file(`${name}.png`, '1,0');
    const script = `"$0" "$1" embed-image "$2" -a "$3" | head -n 1`;
    const { stdout, stderr } = await execute('sh', ['-c', script, process.execPath, BIN, cli.dir, cli.server.address]);
    expect(stdout.trim().split('\n')).to.have.length(1);
    expect(stderr).to.equal('');
  });

  describe('with unwritable results', () => {
    before(function () {
      if (!existsSync('/dev/full')) this.skip();
    });
    const runWithOutput = (file: string, args: readonly string[], stream: 'stdout' | 'stderr' = 'stdout') => {
      const full = openSync(file, 'w');
      const stdio: ['ignore', 'pipe' | number, 'pipe' | number] = ['ignore', 'pipe', 'pipe'];
      stdio[stream === 'stdout' ? 1 : 2] = full;
      const child = spawn(process.execPath, [BIN, ...args, '-a', cli.server.address], { stdio });
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
      const audio = namedPipe(this, join(cli.dir, 'a.wav'));
      const running = run(['transcribe', audio, '--output-dir', join(cli.dir, 'out')]);
      const writer = await openFile(audio, 'w'); // Opens when the command reads it.
      // A non-empty directory takes the name meanwhile.
      await mkdir(join(cli.dir, 'out/a.txt/b'), { recursive: true });
      await writer.writeFile('hello');
      await writer.close();
      const result = await running;
      expect(result.stderr)
        .to.contain(`${join(cli.dir, 'out/a.txt')} cannot be written`)
        .and.not.contain('a bug in');
      expect(result.exitCode).to.equal(74);
    });
  });

  it('fails a watch whose first status does not arrive in time', async () => {
    let calls = 0;
    const watch = () => {
      calls += 1;
    };
    const { address } = open(await startFakeService([[Health, { watch }]]));
    const result = await withTimeout(
      (timeout) => heimdex(['health', '--watch', '--timeout', timeout], { address }),
      () => calls > 0,
    );
    expect(result).to.include({ exitCode: 4 });
    expect(result.stderr).to.contain('Health got no response');
  });
});
