import { expect } from 'chai';
import {
  booleanVariable,
  enumVariable,
  integerVariable,
  numberVariable,
  originsVariable,
  readAll,
  readVariables,
  stringVariable,
  urlVariable,
} from '../src/index.js';
import { cacheErrorOf } from './support/rejection.js';

const TABLE = {
  port: integerVariable({ name: 'PORT', default: 8001, min: 0, max: 65_535, doc: 'Port.', example: '8001' }),
  level: enumVariable({ name: 'LEVEL', words: ['debug', 'info'], default: 'info', doc: 'Level.', example: 'debug' }),
  wait: numberVariable({ name: 'WAIT', default: 0.5, min: 0, max: 10, doc: 'Seconds.', example: '1.5' }),
  on: booleanVariable({ name: 'ON', default: false, doc: 'On.', example: 'true' }),
  endpoint: urlVariable({ name: 'ENDPOINT', default: 'https://hub.example', doc: 'Hub.', example: 'http://hub' }),
  token: stringVariable({ name: 'TOKEN', secret: true, doc: 'Token.', example: 'abc' }),
  origins: originsVariable({ name: 'ORIGINS', doc: 'Origins.', example: 'https://a' }),
} as const;

describe('variables', () => {
  it('returns the defaults for an empty environment and for blanks, as compose files leave them', () => {
    const defaults = readVariables({}, TABLE);
    expect(defaults).to.deep.equal({
      port: 8001,
      level: 'info',
      wait: 0.5,
      on: false,
      endpoint: 'https://hub.example',
      token: undefined,
      origins: [],
    });
    expect(readVariables({ PORT: '', LEVEL: '  ', ON: '\t' }, TABLE)).to.deep.equal(defaults);
  });

  it('parses every kind', () => {
    const env = {
      PORT: '0',
      LEVEL: 'DEBUG',
      WAIT: '1e-1',
      ON: 'Yes',
      ENDPOINT: 'http://x:1/sub//',
      TOKEN: ' t ',
      ORIGINS: 'https://A.example:443/, chrome-extension://abc,, http://b:8080, *',
    };
    expect(readVariables(env, TABLE)).to.deep.equal({
      port: 0,
      level: 'debug',
      wait: 0.1,
      on: true,
      endpoint: 'http://x:1/sub',
      token: 't',
      origins: ['https://a.example', 'chrome-extension://abc', 'http://b:8080', '*'],
    });
  });

  it('reports every problem at once, each with the value, what is expected and an example', async () => {
    const env = { PORT: '70000', LEVEL: 'loud', WAIT: 'soon', ON: 'maybe', ENDPOINT: 'ftp://x' };
    const error = await cacheErrorOf(() => readVariables(env, TABLE));
    expect(error.code).to.equal('ENVIRONMENT_INVALID');
    expect(error.problems).to.deep.equal([
      'PORT must be a whole number from 0 to 65535, got "70000". Example: PORT=8001',
      'LEVEL must be one of debug, info, got "loud". Example: LEVEL=debug',
      'WAIT must be a number from 0 to 10, got "soon". Example: WAIT=1.5',
      'ON must be true or false, got "maybe". Example: ON=true',
      'ENDPOINT must be an http:// or https:// address, got "ftp://x". Example: ENDPOINT=http://hub',
    ]);
    expect(error.message).to.match(/^5 settings are wrong:\n {2}PORT must be/);
  });

  it("rejects a value in quotes, as docker's --env-file leaves it, and does not show a secret", async () => {
    const env = { TOKEN: '"abc"', PORT: "'1'", LEVEL: ' "" ', ENDPOINT: '"' };
    const { problems } = await cacheErrorOf(() => readVariables(env, TABLE));
    const quoted = "must not be in quotes, which docker's --env-file does not remove";
    expect(problems).to.deep.equal([
      `PORT ${quoted}. Example: PORT=8001`,
      `LEVEL ${quoted}. Example: LEVEL=debug`,
      'ENDPOINT must be an http:// or https:// address, got """. Example: ENDPOINT=http://hub',
      `TOKEN ${quoted}. Example: TOKEN=abc`,
    ]);
  });

  for (const written of ['a.example', 'https://a.example/page', 'https://*.example', 'https://', 'https://...@c']) {
    it(`rejects an origin that no browser sends: ${written}`, async () => {
      const error = await cacheErrorOf(() => readVariables({ ORIGINS: `https://ok,${written}` }, TABLE));
      expect(error.problems[0])
        .to.match(/^ORIGINS must be origins such as/)
        .and.include(`got "${written}"`);
    });
  }

  it('shows no credentials of an address', async () => {
    for (const [given, shown] of [
      ['htps://user:s3cret@hub', 'htps://...@hub'],
      ['user:s3//cret@hub', '...@hub'],
      ['htp:/user:s3@cret@hub/x', '...@hub/x'],
      ['http://user:s3cret@hub:port', 'http://...@hub:port'],
      ['https://hub/sub?token=s3cret', 'https://hub/sub?...'],
      ['http://user:100%s3cret@hub', 'http://...@hub'],
      ['https://hub/sub/#', 'https://hub/sub/?...'],
      ['http://user:2024#s3cret@hub', 'http://...'],
    ]) {
      const { message } = await cacheErrorOf(() => readVariables({ ENDPOINT: given }, TABLE));
      expect(message).to.include(`got "${shown}"`);
    }
  });

  it('rejects a text that merely starts with a number', async () => {
    for (const text of ['8001x', '0x10', '1_000', '1.5', '', 'Infinity', '99999999999999999999']) {
      if (text === '') continue;
      const error = await cacheErrorOf(() => readVariables({ PORT: text }, TABLE));
      expect(error.problems, text).to.have.length(1);
    }
  });

  it('joins the problems of several readers into one error', async () => {
    const reader = (name: string) => () =>
      readVariables({ [name]: 'x' }, { it: booleanVariable({ name, default: false, doc: '', example: '1' }) });
    const error = await cacheErrorOf(() => readAll(reader('ONE'), () => 1, reader('TWO')));
    expect(error.problems.map((problem) => problem.split(' ')[0])).to.deep.equal(['ONE', 'TWO']);
  });

  it('returns the values of several readers in their order', () => {
    expect(
      readAll(
        () => 1,
        () => 'two',
      ),
    ).to.deep.equal([1, 'two']);
  });
});
