import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { COMMANDS, OPTIONS } from '../src/cli/arguments.js';
import { helpText } from '../src/cli/help.js';
import { DOWNLOADER_VARIABLES } from '../src/config.js';
import { ERROR_CODES, EXIT_STATUS } from '../src/errors.js';
import { CACHE_EXITS } from '../src/run.js';
import { VERSION } from '../src/version.js';
import { runChild } from './support/child.js';

const DIR = new URL('../../', import.meta.url);

describe('the documentation of the downloader', () => {
  let page: string;

  before(async () => {
    page = await readFile(new URL('../docs/downloader.md', DIR), 'utf8');
  });

  /** The cells of a table's rows, below the heading. */
  function table(heading: string): string[][] {
    const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
    return section
      .split('\n')
      .filter((line) => line.startsWith('| '))
      .slice(1)
      .map((line) =>
        line
          .split('|')
          .map((cell) => cell.trim())
          .slice(1, -1),
      );
  }

  it('lists every error code with its exit status, and no other', () => {
    const listed = table('Errors').map(([code, status]) => [code, Number(status)]);
    const known = Object.entries(ERROR_CODES).map(([code, exit]) => [code, EXIT_STATUS[exit]]);
    expect(Object.fromEntries(listed)).to.deep.equal(Object.fromEntries(known));
  });

  it('lists every command, and no other', () => {
    const listed = table('Commands').map(([command]) => command?.replaceAll('`', '').split(' ')[0]);
    expect(listed).to.deep.equal(Object.keys(COMMANDS));
  });

  it('has every command, option, variable and exit status in --help', () => {
    const help = helpText();
    const names = [
      ...Object.keys(COMMANDS),
      ...Object.keys(OPTIONS).map((name) => `--${name}`),
      ...Object.values(DOWNLOADER_VARIABLES).map(({ name }) => name),
      ...Object.values(EXIT_STATUS).map((status) => `\n  ${status} `),
      'MODELS_DIR',
      'NODE_EXTRA_CA_CERTS',
      'ALL_PROXY',
      '--repository ORG/NAME',
      '--metrics-file FILE',
    ];
    expect(names.filter((name) => !help.includes(name))).to.deep.equal([]);
    expect(help.split('\n').filter((line) => line.length > 120)).to.deep.equal([]);
  });

  it('says in --help which words a variable takes, and when an exit status comes', () => {
    const help = helpText().replace(/\s+/g, ' ');
    expect(help).to.include('Minimum log level. One of debug, info, warn, error, silent. Default: info.');
    expect(help).to.include('8 no mismatch was found, but some files have no known hash');
  });

  it('ends the program for every error of the cache package in a documented way', () => {
    for (const exit of Object.values(CACHE_EXITS)) expect(EXIT_STATUS).to.have.property(exit);
  });

  it('prints the version of package.json', async () => {
    const { version } = JSON.parse(await readFile(new URL('package.json', DIR), 'utf8'));
    expect(VERSION).to.equal(version);
    expect((await runChild(['--version'], {})).stdout).to.equal(`${version}\n`);
  });

  it('is shown by --help on stdout: exit 0', async () => {
    const { status, stdout, stderr } = await runChild(['--help'], {});
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    expect(stdout).to.equal(helpText());
  });
});
