import type { TranscribeStart, TranscribeStreamRequest } from '@heimdex/gen';
import { expect } from 'chai';
import type { FakeService } from '../support/fake-service.js';
import { heimdex } from '../support/run.js';
import { finish, send, startSpeechService } from '../support/speech-service.js';

const WORDS = ['One', ' small', ' step,'].map((text, index) => {
  return { text, startSeconds: index + 0.25, endSeconds: index + 0.9, probability: 1 };
});

describe('heimdex transcribe, words and lines', () => {
  let service: FakeService;
  let start: TranscribeStart | undefined;

  beforeEach(async () => {
    start = undefined;
    service = await startSpeechService((call) => {
      call.on('data', ({ message }: TranscribeStreamRequest) => {
        if (message.case === 'start') start = message.value;
      });
      call.on('end', () => {
        const value = { id: 0, startSeconds: 0, endSeconds: 3, text: ' One small step,', words: WORDS };
        send(call, { case: 'segment', value });
        finish(call);
      });
    });
  });
  afterEach(() => service.close());

  const run = (...args: string[]) =>
    heimdex(['transcribe', '-', ...args], { address: service.address, stdin: 'some audio' });

  it('writes a line a word in milliseconds, as Whisper does', async () => {
    const { stdout } = await run('--words', 'tsv');
    expect(stdout).to.equal('start\tend\ttext\n250\t900\tOne\n1250\t1900\tsmall\n2250\t2900\tstep,\n');
    // WORD
    expect(start?.options?.timestamps).to.equal(3);
  });

  it('writes a JSON document of words', async () => {
    const { stdout } = await run('--words', 'json');
    expect(JSON.parse(stdout)).to.deep.equal({ file: 'standard input', words: WORDS });
  });

  it('splits subtitles by the requested width and lines', async () => {
    const { stdout } = await run('--format', 'srt', '--max-line-width', '10', '--max-lines', '1');
    expect(stdout).to.equal(
      '1\n00:00:00,000 --> 00:00:01,900\nOne small\n\n2\n00:00:02,250 --> 00:00:03,000\nstep,\n\n',
    );
  });

  it('underlines the word that is spoken', async () => {
    const { stdout } = await run('--format', 'vtt', '--highlight-words');
    expect(stdout).to.contain('00:00:01.250 --> 00:00:01.900\nOne <u>small</u> step,\n');
    expect(start?.options?.timestamps).to.equal(3);
  });

  for (const [args, says] of [
    [['--words', 'tsv', '--format', 'srt'], 'one of --words and --format'],
    [['--max-lines', '1'], 'need --format srt or vtt'],
    [['--format', 'srt', '--highlight-words'], 'needs --format vtt'],
    [['a', '--words', 'tsv'], '--output-dir DIR'],
    [['--words', 'tsv', '--timestamps', 'segment'], '--words needs --timestamps word'],
    [['--format', 'vtt', '--highlight-words', '--timestamps', 'none'], '--highlight-words needs --timestamps word'],
    [['--json', '--format', 'srt'], 'one of --json and --format srt'],
    [['--json', '--words', 'tsv'], 'one of --json and --words tsv'],
    [['--rate', '8000'], '--rate and --channels need --raw'],
  ] as const) {
    it(`refuses ${args.join(' ')}`, async () => {
      const { exitCode, stderr } = await run(...args);
      expect(exitCode).to.equal(2);
      expect(stderr).to.contain(says);
    });
  }
});
