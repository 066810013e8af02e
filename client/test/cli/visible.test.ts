import { join } from 'node:path';
import { visible, visibleLines } from '@heimdex/common';
import { expect } from 'chai';
import { escapeControls } from '../../src/cli/terminal.js';
import { useCli } from '../support/cli-fixture.js';

/** Control characters except line feeds, and bidirectional overrides. */
const CONTROL = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/u;
const NAME = 'a\u001b[31m\u001b]0;title\u0007b\u202egnp\u009b2J\r.wav';
const SHOWN = 'a\\u001b[31m\\u001b]0;title\\u0007b\\u202egnp\\u009b2J\\r.wav';

describe('untrusted text', () => {
  it('has control and invisible characters escaped', () => {
    expect(visible(NAME)).to.equal(SHOWN);
    expect(visible('two\nlines\tand\u2028more\u200b\ufeff\ud800')).to.equal(
      'two\\nlines\\tand\\u2028more\\u200b\\ufeff\\ud800',
    );
    expect(visible('\u{e0041}')).to.equal('\\udb40\\udc41');
    expect(visibleLines('two\nlin\u0007es')).to.equal('two\nlin\\u0007es');
  });

  it('is otherwise unchanged, in every script', () => {
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

  it('has control characters escaped in all output, except enabled colours', () => {
    expect(escapeControls('\u001b[31mred\u001b[39m \u001b[2J\n', true)).to.equal(
      '\u001b[31mred\u001b[39m \\u001b[2J\n',
    );
    expect(escapeControls('\u001b[31mred\u001b[39m\tשלום\u200f\n', false)).to.equal(
      '\\u001b[31mred\\u001b[39m\tשלום\u200f\n',
    );
    const json = JSON.stringify({ name: NAME });
    expect(JSON.parse(escapeControls(json, true))).to.deep.equal({ name: NAME });
  });

  describe('printed by heimdex', () => {
    const cli = useCli();
    const { run, file } = cli;

    it('is escaped: file names in results and errors', async () => {
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
          // Progress lines return to the start of the line and erase it.
          expect((stdout + stderr).replaceAll('\r\u001b[K', ''), args.join(' ')).to.not.match(CONTROL);
        }
      }
    });

    it('is escaped: server messages with colours enabled', async () => {
      cli.server.model = { id: 'org/\u001b[31mname\u001b]0;x\u0007', revision: 'a'.repeat(40), variant: '\u202eq8' };
      const { stdout } = await run(['info'], { terminal: true });
      expect(stdout).to.contain('org/\\u001b[31mname\\u001b]0;x\\u0007').and.contain('\\u202eq8');
    });

    it('is preserved in JSON and files', async () => {
      const audioFile = await file('a.wav', 'he\u009bllo');
      const { stdout } = await run(['transcribe', audioFile, '--json']);
      expect(JSON.parse(stdout).text).to.contain('he\u009bllo');
      expect(stdout).to.not.match(CONTROL);
    });
  });
});
