import { expect } from 'chai';
import { languageCode, languageName } from '../../src/transport/openai/languages.js';

describe('the language of a request to the OpenAI API', () => {
  it('is a code or a name, in any case', () => {
    expect(['en', 'KO', ' Korean ', 'haitian creole', 'Lao', 'yue'].map(languageCode)).to.deep.equal([
      ...['en', 'ko', 'ko', 'ht', 'lo', 'yue'],
    ]);
    expect(languageCode('klingonish')).to.equal(undefined);
  });

  it("may be another name that OpenAI's Whisper takes, or the ISO code of Javanese", () => {
    const given = ['Mandarin', 'castilian', 'flemish', 'haitian', 'burmese', 'valencian', 'moldovan', 'jv'];
    expect(given.map(languageCode)).to.deep.equal(['zh', 'es', 'nl', 'ht', 'my', 'ca', 'ro', 'jw']);
    expect(languageName(languageCode('jv') ?? '')).to.equal('javanese');
  });
});
