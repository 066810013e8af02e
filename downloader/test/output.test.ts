import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { visible, visibleLines } from '@heimdex/common';
import { expect } from 'chai';
import { EXIT_STATUS } from '../src/errors.js';
import { lockEvents } from '../src/lock-events.js';
import { openLog } from '../src/log.js';
import { barLine } from '../src/progress/bar.js';
import { run } from '../src/run.js';
import { runHere, testEnvironment } from './support/program.js';

const BIN = fileURLToPath(new URL('../../bin/heimdex-downloader.js', import.meta.url));
const NAME = 'a\u001b[31m\u001b]0;title\u0007b\u202egnp\u009b2J';
const SHOWN = 'a\\u001b[31m\\u001b]0;title\\u0007b\\u202egnp\\u009b2J';
/** What a terminal obeys: controls but the end of a line, and overrides of direction. */
const OBEYED = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;

describe('text of others', () => {
  it('has control and invisible characters escaped, and is otherwise unchanged', () => {
    expect(visible(NAME)).to.equal(SHOWN);
    expect(visible('two\nlines\u2028\u{e0041}')).to.equal('two\\nlines\\u2028\\udb40\\udc41');
    expect(visibleLines('two\nlin\u0007es')).to.equal('two\nlin\\u0007es');
    for (const text of ['Straße 7 %~', '한국어', 'می\u200cخواهم', '👩\u200d👧']) expect(visible(text)).to.equal(text);
  });

  it('is shown so in sentences of the log, in stacks and in bars', () => {
    let text = '';
    const target = {
      isTTY: true,
      write: (part: string) => {
        text += part;
      },
    };
    openLog({ level: 'info', format: 'human' }, target).error({ stack: `Error: ${NAME}\n    at x` }, `No ${NAME}`);
    expect(text).to.equal(`error: No ${SHOWN}\nError: ${SHOWN}\n    at x\n`);
    const bar = { name: '\u001b[2J.onnx', haveBytes: 1, sizeBytes: 2, suffix: '' };
    expect(barLine(bar, 80)).to.match(/^\\u001b\[2J\.onnx /);
  });

  it('is shown so by the commands: directories of a cache', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'heimdex-output-'));
    try {
      await mkdir(join(dir, NAME, `models--org--${NAME}`, 'blobs'), { recursive: true });
      const env = testEnvironment(dir, 'http://127.0.0.1:1', {
        HF_HUB_CACHE: join(dir, NAME),
        LOG_FORMAT: 'human',
      });
      for (const args of [['list'], ['list', '--json'], ['prune'], ['verify'], ['verify', '--json']]) {
        const { stdout, stderr } = await runHere(args, env);
        expect(stdout + stderr, args.join(' '))
          .to.not.match(OBEYED)
          .and.not.equal('');
        if (args.includes('--json') && stdout !== '') JSON.parse(stdout);
      }
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

describe('a volume without file locks', () => {
  it('is warned of once a run, however many locks it takes', () => {
    const lines: string[] = [];
    const log = openLog({ level: 'info', format: 'json' }, { write: (line: string) => lines.push(line) });
    for (const path of ['one.lock', 'two.lock']) lockEvents(log, 'waiting').onUnsupported(path, 'ENOTSUP');
    expect(lines).to.have.length(1);
    expect(lines[0]).to.include('one.lock').and.include('ENOTSUP');
  });
});

describe('output that cannot be written', () => {
  before(function () {
    if (!existsSync('/dev/full')) this.skip();
  });
  const onto = async (args: readonly string[], stream: 'stdout' | 'stderr') => {
    const full = openSync('/dev/full', 'w');
    const stdio: ['ignore', 'pipe' | number, 'pipe' | number] = ['ignore', 'pipe', 'pipe'];
    stdio[stream === 'stdout' ? 1 : 2] = full;
    const env = {
      PATH: process.env.PATH ?? '',
      HF_HUB_CACHE: '/nowhere/at/all',
      ASR_MODEL: 'none',
      VISION_MODEL_NAME: 'none',
    };
    const child = spawn(process.execPath, [BIN, ...args], { stdio, env });
    closeSync(full);
    let said = '';
    for (const output of [child.stdout, child.stderr])
      output?.on('data', (part) => {
        said += part;
      });
    const [status] = await once(child, 'close');
    return { status, said };
  };

  for (const args of [['--help'], ['--version'], ['plan']]) {
    it(`is reported with the exit status of a full disk: ${args.join(' ')}`, async () => {
      const { status, said } = await onto(args, 'stdout');
      expect(said)
        .to.contain('The output could not be written: ENOSPC')
        .and.not.match(/^ +at /m);
      expect(status).to.equal(EXIT_STATUS.disk);
    });
  }

  it('does not change the status if its reader has read enough', async () => {
    const env = { PATH: process.env.PATH ?? '', HF_HUB_CACHE: '/nowhere/at/all', VISION_MODEL_NAME: 'none' };
    for (const [command, expected] of [
      ['list', EXIT_STATUS.ok],
      ['verify', EXIT_STATUS.missing],
    ] as const) {
      const child = spawn(process.execPath, [BIN, command], { stdio: ['ignore', 'pipe', 'ignore'], env });
      child.stdout.destroy();
      expect(await once(child, 'close'), command).to.deep.equal([expected, null]);
    }
  });

  it('by a bug names the command that shows more of it, not a download', async () => {
    const stdout = new Writable();
    stdout.write = () => {
      throw new Error('nobody knows why');
    };
    const lines: string[] = [];
    const stderr = { write: (line: string) => lines.push(line) > 0 };
    const env = testEnvironment('/nowhere/at/all', 'http://127.0.0.1:1');
    const { signal } = new AbortController();
    const status = await run({ argv: ['list', '--json'], env, stdin: Readable.from([]), stdout, stderr, signal });
    expect(status).to.equal(EXIT_STATUS.unexpected);
    expect(JSON.parse(lines.join('')).msg).to.equal(
      'Internal error: nobody knows why. For details, run: LOG_LEVEL=debug heimdex-downloader list --json',
    );
  });

  it('does not change the status if only messages are lost', async () => {
    expect(await onto(['--nonsense'], 'stderr')).to.deep.equal({ status: EXIT_STATUS.usage, said: '' });
  });
});
