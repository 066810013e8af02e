import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TranscribeStreamRequest } from '@heimdex/gen';
import { expect } from 'chai';
import { useCli } from '../support/cli-fixture.js';
import { closedAfterEach } from '../support/closed-after-each.js';
import { heimdex } from '../support/run.js';
import { finish, type SpeechCall, send, startSpeechService } from '../support/speech-service.js';

/** The cue of one second, numbered (SRT) or not (WebVTT). */
function cue(number: string, second: number, text: string): string {
  const point = number === '' ? '.' : ',';
  return `${number}00:00:0${second}${point}000 --> 00:00:0${second + 1}${point}000\n${text}\n\n`;
}

/** A server that sends one segment per chunk as soon as it arrives. */
function transcribeImmediately(call: SpeechCall): void {
  let id = 0;
  call.on('data', ({ message }: TranscribeStreamRequest) => {
    if (message.case !== 'audio') return;
    const text = ` ${Buffer.from(message.value).toString()}`;
    send(call, { case: 'segment', value: { id, startSeconds: id, endSeconds: id + 1, text } });
    id += 1;
    send(call, { case: 'progress', value: { processedSeconds: id } });
  });
  call.on('end', () => finish(call, { durationSeconds: id }));
}

/** The output so far, with a promise for an expected value. */
class WatchedOutput {
  #text = '';
  #waiting: (() => void) | undefined;

  update(text: string): void {
    this.#text = text;
    this.#waiting?.();
  }

  async equals(expected: string): Promise<void> {
    while (this.#text !== expected) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
  }
}

describe('heimdex transcribe', () => {
  const cli = useCli();
  const { run, file } = cli;
  const open = closedAfterEach();

  it('writes one line of text per audio file', async () => {
    const result = await run(['transcribe', await file('a.wav', 'Hello there.\nHow are you?')]);
    expect(result).to.deep.equal({ exitCode: 0, stdout: 'Hello there. How are you?\n', stderr: '' });
  });

  it('prefixes each line with the name for several files', async () => {
    const [a, b] = [await file('a.wav', 'One.'), await file('b.wav', 'Two.')];
    expect((await run(['transcribe', a, b])).stdout).to.equal(`${a}: One.\n${b}: Two.\n`);
  });

  it('writes SRT and WebVTT', async () => {
    const path = await file('a.wav', 'Tom & <Jerry>\nEnd');
    expect((await run(['transcribe', path, '--format', 'srt'])).stdout).to.equal(
      '1\n00:00:00,000 --> 00:00:01,000\nTom & <Jerry>\n\n2\n00:00:01,000 --> 00:00:02,000\nEnd\n\n',
    );
    expect((await run(['transcribe', path, '--format', 'vtt'])).stdout).to.equal(
      'WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nTom &amp; &lt;Jerry&gt;\n\n00:00:01.000 --> 00:00:02.000\nEnd\n\n',
    );
  });

  it('writes one JSON document per audio file', async () => {
    const { stdout } = await run(['transcribe', await file('a.wav', 'Hi.'), '--json']);
    const document = JSON.parse(stdout);
    expect(document).to.include({ text: 'Hi.', language: 'en', durationSeconds: 1 });
    expect(document.segments[0]).to.include({ text: ' Hi.', endSeconds: 1 });
  });

  it('reads standard input', async () => {
    expect((await run(['transcribe', '-'], { stdin: 'From a pipe.' })).stdout).to.equal('From a pipe.\n');
  });

  for (const [name, args, terminal, shown] of [
    ['text on a terminal', [], true, ['One.', 'One. Two.', 'One. Two.\n']],
    ['text in a pipe', [], false, ['One.', 'One. Two.', 'One. Two.\n']],
    ['SRT', ['--format', 'srt'], false, [cue('1\n', 0, 'One.'), `${cue('1\n', 0, 'One.')}${cue('2\n', 1, 'Two.')}`]],
    [
      'WebVTT',
      ['--format', 'vtt'],
      false,
      [`WEBVTT\n\n${cue('', 0, 'One.')}`, `WEBVTT\n\n${cue('', 0, 'One.')}${cue('', 1, 'Two.')}`],
    ],
  ] as const) {
    it(`writes each segment while audio is still arriving: ${name}`, async () => {
      const { address } = open(await startSpeechService(transcribeImmediately));
      const output = new WatchedOutput();
      const stdin = (async function* () {
        yield Buffer.from('One.');
        await output.equals(shown[0]);
        yield Buffer.from('Two.');
        await output.equals(shown[1]);
      })();
      const watch = (text: string) => output.update(text);
      const result = await heimdex(['transcribe', '-', ...args], { address, stdin, terminal, watch });
      expect(result).to.deep.equal({ exitCode: 0, stdout: shown.at(-1), stderr: '' });
    });
  }

  it('sends only the given options', async () => {
    const path = await file('a.wav', 'x');
    await run(['transcribe', path]);
    const options =
      '--language de --translate --beam-size 5 --no-condition --skip-silence 2 --max-speech 20 --raw s16le';
    await run(['transcribe', path, ...options.split(' ')]);
    const [plain, full] = cli.server.starts.map((start) => (start.case === 'start' ? start.value : undefined));
    expect(plain?.options).to.not.have.any.keys('language', 'beamSize', 'conditionOnPreviousText', 'vadParameters');
    expect(full?.options).to.include({ language: 'de', task: 2, beamSize: 5, conditionOnPreviousText: false });
    expect(full?.options).to.include({ timestamps: 3, hallucinationSilenceThresholdSeconds: 2 });
    expect(full?.options).to.include({ vadFilter: true });
    expect(full?.options?.vadParameters).to.include({ maxSpeechDurationS: 20 });
    expect(full?.raw).to.include({ encoding: 1, sampleRateHz: 16_000, channelCount: 1 });
  });

  it('writes one output file per audio file, and none for a failed one', async () => {
    const out = join(cli.dir, 'out');
    const long = '가'.repeat(83);
    const [good, bad] = [await file(`${long}.wav`, 'Yes.'), await file('broken.wav', 'No.\nbad')];
    const result = await run(['transcribe', good, bad, '--format', 'srt', '--output-dir', out]);
    expect(result.exitCode).to.equal(1);
    expect(result.stderr).to.contain(`failed  ${bad}: not audio`);
    expect(await readdir(out)).to.deep.equal([`${long}.srt`]);
    expect(await readFile(join(out, `${long}.srt`), 'utf8')).to.contain('Yes.');
  });

  it('rejects two audio files with the same output file before any work', async () => {
    const out = join(cli.dir, 'out');
    const [wav, mp3] = [await file('talk.wav', 'One.'), await file('talk.mp3', 'Two.')];
    const result = await run(['transcribe', wav, mp3, '--output-dir', out]);
    expect(result).to.include({ exitCode: 2, stdout: '' });
    expect(result.stderr).to.contain(`${wav} and ${mp3} have the same output file ${join(out, 'talk.txt')}`);
    const twice = await run(['transcribe', wav, wav, '--output-dir', out]);
    expect(twice).to.include({ exitCode: 2, stderr: `heimdex: ${wav} is given twice\n` });
    expect(cli.server.starts).to.deep.equal([]);
  });

  it('writes to a directory whatever the names of the directories in it', async () => {
    const out = join(cli.dir, 'out');
    await mkdir(join(out, 'x'), { recursive: true });
    const result = await run(['transcribe', await file('a.wav', 'One.'), '--output-dir', out]);
    expect(result.exitCode, result.stderr).to.equal(0);
    expect(await readdir(out)).to.have.members(['a.txt', 'x']);
  });

  it('rejects an output file that cannot be written before any work', async () => {
    const out = join(cli.dir, 'out');
    await mkdir(join(out, 'b.txt'), { recursive: true });
    const files = [await file('a.wav', 'One.'), await file('b.wav', 'Two.')];
    const result = await run(['transcribe', ...files, '--output-dir', out]);
    expect(result.exitCode).to.equal(2);
    expect(result.stderr).to.equal(`heimdex: ${join(out, 'b.txt')} cannot be written: it is a directory\n`);
    expect(cli.server.starts).to.deep.equal([]);
  });

  it('rejects an output directory that cannot be created', async () => {
    const audio = await file('a.wav', 'One.');
    const result = await run(['transcribe', audio, '--output-dir', audio]);
    expect(result.exitCode).to.equal(2);
    expect(result.stderr).to.contain(`${audio} cannot be created: a file of that name exists`);
    if (process.platform !== 'linux') return;
    const nowhere = await run(['transcribe', audio, '--output-dir', '/proc/nowhere/further']);
    expect(nowhere.exitCode, nowhere.stderr).to.equal(2);
  });

  it('continues after a failed or missing audio file', async () => {
    const [bad, good] = [await file('bad.wav', 'bad'), await file('good.wav', 'Yes.')];
    const result = await run(['transcribe', bad, join(cli.dir, 'none.wav'), good]);
    expect(result.exitCode).to.equal(1);
    expect(result.stdout).to.equal(`${good}: Yes.\n`);
    expect(result.stderr).to.match(/failed {2}.*bad\.wav: not audio\nfailed {2}.*none\.wav cannot be read: ENOENT/);
  });

  it('rejects subtitles of several audio files on standard output', async () => {
    const result = await run(['transcribe', 'a', 'b', '--format', 'srt']);
    expect(result.exitCode).to.equal(2);
    expect(result.stderr).to.contain('--output-dir DIR');
  });
});
