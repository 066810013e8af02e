import { join } from 'node:path';
import { expect } from 'chai';
import { harmless, visible, visibleLines } from '../../src/cli/visible.js';
import { useCli } from '../support/cli-fixture.js';

/** What a terminal obeys: controls but the end of a line, and overrides of direction. */
const OBEYED = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const NAME = 'a\u001b[31m\u001b]0;title\u0007b\u202egnp\u009b2J\r.wav';
const SHOWN = 'a\\u001b[31m\\u001b]0;title\\u0007b\\u202egnp\\u009b2J\\r.wav';

describe('text of others', () => {
  it('has what a terminal obeys or hides written out', () => {
    expect(visible(NAME)).to.equal(SHOWN);
    expect(visible('two\nlines\tand\u2028more\u200b\ufeff\ud800')).to.equal(
      'two\\nlines\\tand\\u2028more\\u200b\\ufeff\\ud800',
    );
    expect(visible('\u{e0041}')).to.equal('\\udb40\\udc41');
    expect(visibleLines('two\nlin\u0007es')).to.equal('two\nlin\\u0007es');
  });

  it('stays as it is otherwise, in every script', () => {
    for (const text of [
      'Straße 7 %~.wav',
      '한국어.mp3',
      'می\u200cخواهم',
      'שלום',
      '👩\u200d👩\u200d👧.png',
      'a\\u001b',
    ]) {
      expect(visible(text)).to.equal(text);
    }
  });

  it('loses what a terminal obeys in all output, but for colours where they are on', () => {
    expect(harmless('\u001b[31mred\u001b[39m \u001b[2J\n', true)).to.equal('\u001b[31mred\u001b[39m \\u001b[2J\n');
    expect(harmless('\u001b[31mred\u001b[39m\tשלום\u200f\n', false)).to.equal(
      '\\u001b[31mred\\u001b[39m\tשלום\u200f\n',
    );
    const json = JSON.stringify({ name: NAME });
    expect(JSON.parse(harmless(json, true))).to.deep.equal({ name: NAME });
  });

  describe('shown by heimdex', () => {
    const cli = useCli();
    const { run, file } = cli;

    it('does not reach the terminal as it is: names of files, in results and errors', async () => {
      const audioFile = await file(NAME, 'hello\u001b[2J\u202e');
      const image = await file(`${NAME}.png`, '1,0');
      const broken = await file(`broken ${NAME}.png`, 'bad');
      const index = join(cli.dir, 'i\u001b[31m.index');
      for (const terminal of [false, true]) {
        const env = { NO_COLOR: '1' };
        for (const args of [
          ['transcribe', audioFile, audioFile],
          ['transcribe', audioFile, '--output-dir', cli.dir],
          ['transcribe', `${audioFile}.gone`],
          ['embed-image', image, broken],
          ['detect-faces', image, broken],
          ['search', '1,0', image],
          ['index', cli.dir, '--index', index],
          ['search', '1,0', '--index', index],
          ['embed-text', NAME, 'bad'],
          ['embed-image', image, '--json'],
          ['health', NAME],
          [NAME],
          ['info', `--${NAME}`],
          ['info', '--address', NAME],
        ]) {
          const { stdout, stderr } = await run(args, { terminal, env });
          expect(stdout + stderr, args.join(' ')).to.not.equal('');
          // Progress on a terminal is drawn over: the line's beginning, and what is right of it erased.
          expect((stdout + stderr).replaceAll('\r\u001b[K', ''), args.join(' ')).to.not.match(OBEYED);
        }
      }
    });

    it('does not colour it either: what a server says', async () => {
      cli.server.model = { id: 'org/\u001b[31mname\u001b]0;x\u0007', revision: 'a'.repeat(40), variant: '\u202eq8' };
      const { stdout } = await run(['info'], { terminal: true });
      expect(stdout).to.contain('org/\\u001b[31mname\\u001b]0;x\\u0007').and.contain('\\u202eq8');
    });

    it('is whole in JSON and in files', async () => {
      const audioFile = await file('a.wav', 'he\u009bllo');
      const { stdout } = await run(['transcribe', audioFile, '--json']);
      expect(JSON.parse(stdout).text).to.contain('he\u009bllo');
      expect(stdout).to.not.match(OBEYED);
    });
  });
});
