import { table } from '@heimdex/common';
import { expect } from 'chai';
import { bar, fitted } from '../../src/cli/table.js';

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
});
