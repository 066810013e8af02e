import { expect } from 'chai';
import { wordErrors } from '../src/word-errors.js';

describe('word errors', () => {
  it('ignore punctuation and case', () => {
    expect(wordErrors("Don't stop, now!", "don't Stop now")).to.deep.equal({ wrong: 0, of: 3 });
  });

  it('count each wrong, missing and additional word once', () => {
    expect(wordErrors('a b c d', 'a x c d')).to.deep.equal({ wrong: 1, of: 4 });
    expect(wordErrors('a b c d', 'a c d')).to.deep.equal({ wrong: 1, of: 4 });
    expect(wordErrors('a b c d', 'a b b c d')).to.deep.equal({ wrong: 1, of: 4 });
    expect(wordErrors('a b', '')).to.deep.equal({ wrong: 2, of: 2 });
    expect(wordErrors('', 'a')).to.deep.equal({ wrong: 1, of: 0 });
  });
});
