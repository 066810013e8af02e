import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'chai';
import { EXIT_CODES } from '../../src/exit-codes.js';
import { openLog } from '../../src/telemetry/log.js';
import { NO_FACES, pocketEnv, pocketServer, pocketVolume } from '../fixtures/pocket.js';
import { environment, PROGRAM, runHere } from '../fixtures/server-process.js';

const NAME = 'a\u001b[31m\u001b]0;title\u0007b\u202egnp\u009b2J';
const SHOWN = 'a\\u001b[31m\\u001b]0;title\\u0007b\\u202egnp\\u009b2J';

describe('untrusted text', () => {
  it('is logged with escaped control characters', () => {
    let text = '';
    const log = openLog(
      { level: 'info', format: 'human' },
      {
        write: (chunk: string) => {
          text += chunk;
        },
      },
    );
    log.info({ file: NAME, nested: { file: `${NAME}\u009b` } }, `No ${NAME}`);
    expect(text).to.include(`No ${SHOWN}  file=${SHOWN} nested={"file":"${SHOWN}\\u009b"}\n`);
    text = '';
    log.error({ err: Object.assign(new Error(NAME), { stack: `Error: ${NAME}\n    at x` }) }, 'defect');
    expect(text).to.match(/defect\nError: a\\u001b\[31m.*\n {4}at x\n$/);
  });

  it('is escaped in start errors', async () => {
    const { code, stderr } = await runHere({ HF_HUB_CACHE: `/nowhere/${NAME}`, ASR_MODEL: 'base' });
    expect(code).to.equal(EXIT_CODES.models);
    expect(stderr)
      .to.include(SHOWN)
      .and.not.match(/(?!\n)[\p{Cc}\u202a-\u202e]/u);
  });
});

describe('a server that cannot start', () => {
  it('logs the reason as JSON with LOG_FORMAT=json', async () => {
    const { code, stdout, stderr } = await runHere({ LOG_FORMAT: 'json', PORT: 'abc' });
    expect(code).to.equal(EXIT_CODES.configuration);
    const record = JSON.parse(stdout) as Record<string, unknown>;
    expect(record).to.include({ level: 'fatal', reason: 'configuration', exitStatus: EXIT_CODES.configuration });
    expect(record.msg).to.contain('PORT');
    expect(stderr).to.equal('');
  });
});

describe('output that cannot be written', () => {
  it('is an error of --help, with its own exit status', async function () {
    if (!existsSync('/dev/full')) return this.skip();
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [PROGRAM, '--help'], { stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    let stderr = '';
    child.stderr?.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    expect(stderr).to.equal(
      'heimdex-inference: Cannot write to standard output: ENOSPC: no space left on device, write\n',
    );
    expect(code).to.equal(EXIT_CODES.output);
  });

  it('stops the log, not the server', async () => {
    const { server, stop } = await pocketServer(NO_FACES, { cold: true });
    try {
      server.child.stdout?.destroy();
      // Each call writes a log line, also those without texts, which are refused without a model.
      while (!server.stderr().includes('the log ends here')) expect(await embed(server.url)).to.equal(400);
      expect(await embed(server.url)).to.equal(400);
      expect(server.stderr().split('\n')).to.have.length(2);
      server.child.kill('SIGTERM');
      const [code] = await once(server.child, 'exit');
      expect(code).to.equal(EXIT_CODES.ok);
    } finally {
      await stop();
    }
  });

  /** Starts a server whose two outputs are one pipe, and ends it once `leave` is done with the pipe's reader. */
  async function endOf(leave: (reader: Socket, url: string, pipe: string) => Promise<unknown>) {
    const volume = await pocketVolume();
    const pipe = join(volume.cacheDir, 'log');
    execFileSync('mkfifo', [pipe]);
    const command = ['-c', 'exec "$0" "$@" > "$LOG_PIPE" 2>&1', process.execPath, PROGRAM];
    const env = environment({ ...pocketEnv(volume), ...NO_FACES, LOG_FORMAT: 'json', LOG_PIPE: pipe });
    const reader = new Socket({ fd: openSync(pipe, 'r+'), readable: true, writable: false });
    const child = spawn('sh', command, { env, stdio: 'ignore' });
    try {
      const lines = createInterface({ input: reader });
      let port = '';
      await new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          port = /"Listening on .*:(\d+)"/.exec(line)?.[1] ?? '';
          if (port !== '') resolve();
        });
      });
      await leave(reader, `http://127.0.0.1:${port}`, pipe);
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      return code;
    } finally {
      reader.destroy();
      child.kill('SIGKILL');
      await volume.remove();
    }
  }

  it('does not keep the server from ending: both outputs are one pipe whose reader is gone', async () => {
    const code = await endOf((reader) => {
      reader.destroy();
      return once(reader, 'close');
    });
    expect(code).to.equal(EXIT_CODES.ok);
  });

  it('does not keep the server from ending: its reader reads nothing, and the pipe is full', async () => {
    let idle: number | undefined;
    const code = await endOf(async (reader, url, pipe) => {
      // In the place of the stream, which has room for as much as the pipe.
      idle = openSync(pipe, 'r');
      reader.destroy();
      // A line each, of 320 bytes or more; a pipe has 64 KiB.
      const id = 'x'.repeat(128);
      for (let calls = 0; calls < 250; calls += 50) await Promise.all(Array.from({ length: 50 }, () => embed(url, id)));
    });
    expect(code).to.equal(EXIT_CODES.ok);
    if (idle !== undefined) closeSync(idle);
  });
});

async function embed(url: string, id = 'call'): Promise<number> {
  const response = await fetch(`${url}/heimdex.inference.v1.InferenceService/EmbedText`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-request-id': id },
    body: '{"texts":[]}',
  });
  return response.status;
}
