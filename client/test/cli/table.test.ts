import { expect } from 'chai';
import { formatBytes, formatDuration } from '../../src/cli/format.js';
import { bar, fitted, table } from '../../src/cli/table.js';

describe('terminal output', () => {
  it('aligns columns, ignoring colours', () => {
    const rows = [
      ['a', '\u001b[32m1\u001b[39m', 'x'],
      ['long', '100', ''],
    ];
    expect(table(rows, [1])).to.deep.equal(['a       \u001b[32m1\u001b[39m  x', 'long  100']);
  });

  it('drops columns in the given order until it fits', () => {
    const rows = [['one', 'two', 'three']];
    expect(fitted(rows, [], [1, 0], undefined)).to.deep.equal(['one  two  three']);
    expect(fitted(rows, [], [1, 0], 10)).to.deep.equal(['one  three']);
    expect(fitted(rows, [], [1, 0], 5)).to.deep.equal(['three']);
    expect(fitted(rows, [], [1, 0], 1)).to.deep.equal(['three']);
  });

  it('draws bars in steps of an eighth', () => {
    expect(bar(0, 4)).to.equal('');
    expect(bar(0.5, 4)).to.equal('██');
    expect(bar(0.53, 4)).to.equal('██▏');
    expect(bar(7, 4)).to.equal('████');
    expect(bar(-1, 4)).to.equal('');
  });

  it('formats sizes and durations', () => {
    expect([0, 1023, 1536, 64 * 1024 ** 2, 1.5 * 1024 ** 3].map(formatBytes)).to.deep.equal([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '64 MiB',
      '1.5 GiB',
    ]);
    expect([0, 4.25, 62, 3725, 90_000, 7200].map(formatDuration)).to.deep.equal([
      '0 s',
      '4.3 s',
      '1 min 2 s',
      '1 h 2 min',
      '1 d 1 h',
      '2 h',
    ]);
  });
});
