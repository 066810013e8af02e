import { expect } from 'chai';
import { CoreShare } from '../../src/runner/core-share.js';

describe('cores shared by workers', () => {
  function users(cores: number, ...threads: readonly number[]) {
    const share = new CoreShare(cores);
    const told: string[] = [];
    const all = threads.map((count, index) => share.user(count, (shared) => told.push(`${index} ${shared}`)));
    const since = () => told.splice(0);
    return { all, since };
  }

  it('are not shared while the threads of all runs have one each', () => {
    const { all, since } = users(4, 2, 2);
    for (const user of all) user.begin();
    expect(since()).to.deep.equal([]);
  });

  it('are shared once runs have more threads, which each running worker is told once', () => {
    const { all, since } = users(2, 2, 1, 1);
    const [wide, narrow, other] = all;
    wide?.begin();
    expect(since()).to.deep.equal([]);
    narrow?.begin();
    expect(since()).to.deep.equal(['0 true', '1 true']);
    other?.begin();
    expect(since()).to.deep.equal(['2 true']);
    other?.end();
    narrow?.end();
    narrow?.end();
    expect(since()).to.deep.equal(['0 false']);
  });

  it('are told to an idle worker when its next run begins', () => {
    const { all, since } = users(2, 2, 2);
    const [one, other] = all;
    one?.begin();
    other?.begin();
    one?.end();
    expect(since()).to.deep.equal(['0 true', '1 true', '1 false']);
    other?.end();
    one?.begin();
    expect(since()).to.deep.equal(['0 false']);
  });
});
