import { expect } from 'chai';
import { type ModelFile, withStandIns } from '../src/index.js';

const file = (path: string, more: Partial<ModelFile> = {}): ModelFile => ({ path, required: true, ...more });
const insteadOf = 'tokenizer.json';
const FILES = [
  file('config.json'),
  file(insteadOf),
  file('vocab.json', { insteadOf }),
  file('merges.txt', { insteadOf }),
  file('added_tokens.json', { insteadOf, required: false }),
];

describe('files that stand in for another one', () => {
  const paths = (...there: string[]) => withStandIns(FILES, (path) => there.includes(path)).map(({ path }) => path);

  it('are left out where the repository has that file', () => {
    expect(paths('config.json', insteadOf, 'vocab.json', 'merges.txt')).to.deep.equal(['config.json', insteadOf]);
  });

  it('take its place where the repository has all required ones', () => {
    const all = ['config.json', 'vocab.json', 'merges.txt', 'added_tokens.json'];
    expect(paths('vocab.json', 'merges.txt')).to.deep.equal(all);
  });

  it('leave that file required where one of them is missing too', () => {
    expect(paths('vocab.json', 'added_tokens.json')).to.deep.equal(['config.json', insteadOf]);
    expect(paths()).to.deep.equal(['config.json', insteadOf]);
  });

  it('are taken besides that file where they are also listed on their own, and once in its place', () => {
    const files = [...FILES, file('vocab.json', { required: false })];
    const taken = (...there: string[]) => withStandIns(files, (path) => there.includes(path));
    expect(taken(insteadOf, 'vocab.json').map(({ path }) => path)).to.deep.equal([
      'config.json',
      insteadOf,
      'vocab.json',
    ]);
    const inPlace = taken('vocab.json', 'merges.txt').filter(({ path }) => path === 'vocab.json');
    expect(inPlace.map(({ required }) => required)).to.deep.equal([true]);
  });
});
