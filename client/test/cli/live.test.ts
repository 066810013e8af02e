import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { TranscribeStreamRequest } from '@heimdex/gen';
import { expect } from 'chai';
import type { FakeService } from '../support/fake-service.js';
import { screenOf } from '../support/screen.js';
import { finish, type SpeechCall, send, startSpeechService } from '../support/speech-service.js';

const BIN = fileURLToPath(new URL('../../../bin/heimdex.js', import.meta.url));
const COLUMNS = 24;

/** A server whose audio is lines of text: `?text` is answered as a partial result, other lines as final ones; `hang`: it sends no
 * final ones any more. */
function transcribeLive(call: SpeechCall): void {
  let id = 0;
  let hangs = false;
  call.on('data', ({ message }: TranscribeStreamRequest) => {
    if (message.case !== 'audio') return;
    for (const line of Buffer.from(message.value).toString().split('\n').slice(0, -1)) {
      hangs ||= line === 'hang';
      if (line.startsWith('?')) send(call, { case: 'partial', value: { text: line.slice(1) } });
      else if (!hangs) send(call, { case: 'segment', value: { id: id++, text: line } });
    }
  });
  call.on('end', () => {
    if (hangs) send(call, { case: 'partial', value: { text: 'the audio has ended' } });
    else finish(call);
  });
  call.on('error', () => {});
}

/** `heimdex transcribe - --live` in a terminal of its own; its audio comes from a pipe. */
interface LiveRun {
  readonly child: ChildProcess;
  readonly audio: Writable;
  /** All output, once it matches. */
  printed(expected: RegExp | string): Promise<string>;
  /** Types Ctrl-C. */
  interrupt(): void;
  /** The exit status, which `script` hands on. */
  readonly closed: Promise<number | null>;
  output(): string;
}

describe('heimdex transcribe --live in a terminal', () => {
  let service: FakeService;
  const runs: LiveRun[] = [];
  before(async function () {
    if (!/util-linux/.test(String(spawnSync('script', ['--version']).stdout))) {
      console.log('      skipped: needs the command script of util-linux, which makes the terminal');
      this.skip();
    }
    service = await startSpeechService(transcribeLive);
  });
  after(() => service?.close());
  afterEach(async () => {
    for (const { child, closed } of runs.splice(0)) {
      child.kill('SIGKILL');
      await closed;
    }
  });

  function start(redirect = ''): LiveRun {
    const command = `stty cols ${COLUMNS}; exec "$NODE" "$BIN" transcribe - --raw s16le --live -a ${service.address} <&3 ${redirect}`;
    const child = spawn('script', ['--quiet', '--return', '--flush', '--command', command, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
      env: { PATH: process.env.PATH, SHELL: '/bin/sh', TERM: 'xterm', NODE: process.execPath, BIN },
    });
    let output = '';
    let look = () => {};
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      look();
    });
    const run: LiveRun = {
      child,
      audio: child.stdio[3] as Writable,
      printed: (expected) =>
        new Promise((resolve) => {
          look = () => {
            if (typeof expected === 'string' ? output.includes(expected) : expected.test(output)) resolve(output);
          };
          look();
        }),
      interrupt: () => child.stdin?.write('\u0003'),
      closed: once(child, 'close').then(([code]) => code as number | null),
      output: () => output,
    };
    runs.push(run);
    return run;
  }

  it('shows the end of what is not final in one line, where wide characters take two columns', async () => {
    const run = start();
    const spoken = '안녕하세요 오늘은 날씨가 정말 좋습니다 그래서 우리는 산책을 갑니다'.split(' ');
    for (const count of spoken.keys()) run.audio.write(`?${spoken.slice(0, count + 1).join(' ')}\n`);
    const output = await run.printed('갑니다');
    expect(screenOf(output, COLUMNS)).to.deep.equal(['서 우리는 산책을 갑니다']);
    run.audio.write(`?ひとつの文はこの端末の一行よりも長いので終わりだけを見せます\n`);
    expect(screenOf(await run.printed('見せます'), COLUMNS)).to.deep.equal(['で終わりだけを見せます']);
    run.audio.write(' 一行。\n?\n');
    run.audio.end();
    expect(await run.closed).to.equal(0);
    expect(screenOf(run.output(), COLUMNS)).to.deep.equal(['一行。', '']);
  });

  it('prints final text line by line, and erases what was not', async () => {
    const run = start();
    run.audio.write('?Hello\n Hello everyone.\n?How are\n How are you\n? to\n today?\n?\n? never final\n?\n');
    run.audio.end();
    expect(await run.closed).to.equal(0);
    expect(screenOf(run.output(), COLUMNS)).to.deep.equal(['Hello everyone.', 'How are you today?', '']);
  });

  it('shows the status line on the terminal where the text goes into a file', async () => {
    const run = start('>/dev/null');
    run.audio.write('?the end of a line that is longer than the terminal is wide\n');
    const output = await run.printed('wide');
    expect(screenOf(output, COLUMNS)).to.deep.equal(['an the terminal is wide']);
    run.audio.end();
    expect(await run.closed).to.equal(0);
    expect(screenOf(run.output(), COLUMNS)).to.deep.equal(['']);
  });

  it('writes no escape sequences where nothing is a terminal', async () => {
    const args = [BIN, 'transcribe', '-', '--raw', 's16le', '--live', '-a', service.address];
    const child = spawn(process.execPath, args);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
      });
    }
    child.stdin.end('?Hello\n Hello everyone.\n?How are\n');
    await once(child, 'close');
    expect(output).to.equal('Hello everyone.\n');
  });

  it('ends the audio at Ctrl-C and prints what is left', async () => {
    const run = start();
    run.audio.write(' It is said\n?and\n');
    await run.printed('and');
    run.interrupt();
    expect(await run.closed).to.equal(130);
    expect(screenOf(run.output(), COLUMNS)).to.deep.equal(['It is said', '']);
  });

  it('ends at once at a second Ctrl-C though the server does not answer, and leaves the line', async () => {
    const run = start();
    run.audio.write('hang\n?unfinished\n');
    await run.printed('unfinished');
    run.interrupt();
    await run.printed('has ended');
    run.interrupt();
    expect(await run.closed).to.equal(130);
    expect(screenOf(run.output(), COLUMNS).at(-1)).to.equal('');
  });
});
