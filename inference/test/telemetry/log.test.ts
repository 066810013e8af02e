import { expect } from 'chai';
import { openLog } from '../../src/telemetry/log.js';

/** The output of two lines. */
function written(format: 'auto' | 'human' | 'json', isTTY = false): string[] {
  const lines: string[] = [];
  const log = openLog({ level: 'info', format }, { isTTY, write: (text: string) => lines.push(text) });
  log.info({ call: '7', token: 'abc', nested: { authorization: 'Bearer abc' } }, 'first');
  log.warn('second');
  return lines;
}

describe('the log', () => {
  it('is one JSON object per line, with a level name and a UTC time', () => {
    const [first = '', second = ''] = written('json');
    const record = JSON.parse(first) as Record<string, unknown>;
    expect(Object.keys(record).slice(0, 2)).to.deep.equal(['level', 'time']);
    expect(record).to.include({ level: 'info', msg: 'first', call: '7' });
    expect(record.time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(JSON.parse(second)).to.include({ level: 'warn', msg: 'second' });
    expect(first).to.match(/\n$/);
  });

  it('is human-readable, by default on a terminal', () => {
    for (const lines of [written('human'), written('auto', true)]) {
      expect(lines[0]).to.match(/^\d\d:\d\d:\d\d info {2}first {2}call=7 /);
      expect(lines[1]).to.match(/^\d\d:\d\d:\d\d WARN {2}second\n$/);
    }
    expect(written('auto')).to.have.length(2);
    expect(() => JSON.parse(written('auto')[0] ?? '')).not.to.throw();
  });

  it('has no secret in either format', () => {
    for (const format of ['json', 'human'] as const) expect(written(format).join('')).not.to.include('abc');
  });
});
