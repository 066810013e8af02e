import { expect } from 'chai';
import {
  type HypothesisWord,
  LocalAgreement,
  normalizedWord,
  repeatedLength,
} from '../../src/models/speech/live/agreement.js';
import { cutOf } from '../../src/models/speech/live/trim.js';
import { UtteranceDetector } from '../../src/models/speech/live/utterances.js';

const segment = {} as HypothesisWord['segment'];

function wordsOf(text: string): HypothesisWord[] {
  return text.split(' ').map((word, index) => ({
    text: ` ${word}`,
    startSeconds: index,
    endSeconds: index + 0.8,
    probability: 1,
    segment,
  }));
}

const textOf = (words: readonly HypothesisWord[]) =>
  words
    .map(({ text }) => text)
    .join('')
    .trim();

describe('LocalAgreement', () => {
  it('confirms what two successive hypotheses agree on', () => {
    const agreement = new LocalAgreement();
    expect(textOf(agreement.push(wordsOf('and so my fell')))).to.equal('');
    expect(textOf(agreement.push(wordsOf('and so my fellow Americans')))).to.equal('and so my');
    expect(textOf(agreement.pending)).to.equal('fellow Americans');
    expect(textOf(agreement.push(wordsOf('And so, my fellow Americans ask')))).to.equal('fellow Americans');
  });

  it('ignores case and punctuation, but not words without letters', () => {
    expect(normalizedWord(' Americans,')).to.equal('americans');
    expect(normalizedWord(' ...')).to.equal('...');
  });

  it('does not repeat a confirmed word that a later hypothesis corrects, splits or omits', () => {
    for (const later of [
      'and so your fellow Americans ask',
      'and so m y fellow Americans ask',
      'and my fellow Americans ask',
    ]) {
      const agreement = new LocalAgreement();
      agreement.push(wordsOf('and so my fellow'));
      agreement.push(wordsOf('and so my fellow'));
      expect(textOf(agreement.finish(wordsOf(later)))).to.equal('Americans ask');
    }
  });

  it('confirms words that are spaced in another way, as Korean words often are', () => {
    const agreement = new LocalAgreement();
    agreement.push(wordsOf('그는 할 수 있다고 말했'));
    expect(textOf(agreement.push(wordsOf('그는 할수 있다고 말했다')))).to.equal('그는 할수 있다고');
    expect(textOf(agreement.push(wordsOf('그는 할 수 있다고 말했다')))).to.equal('말했다');
    agreement.push(wordsOf('그는 할 수 있다고 말했다 그 후'));
    expect(textOf(agreement.push(wordsOf('그는 할 수 있다고 말했다 그후에는')))).to.equal('');
  });

  it('neither repeats nor loses a word behind confirmed ones that are spaced in another way', () => {
    const ways = ['그는 할 수 있다', '그는 할수 있다', '그는 할 수있다', '그는 할수있다', '그는할 수 있다'];
    for (const said of ways) {
      for (const later of ways) {
        expect(repeatedLength(wordsOf(said), wordsOf(`${later} 고`)), `${said}, ${later}`).to.equal(
          wordsOf(later).length,
        );
      }
    }
  });

  it('keeps words that are said twice', () => {
    expect(repeatedLength(wordsOf('very'), wordsOf('very very good'))).to.equal(1);
    expect(repeatedLength(wordsOf('very very'), wordsOf('very very very'))).to.equal(2);
    expect(repeatedLength(wordsOf('so'), wordsOf('and then we said so'))).to.equal(1);
  });

  it('continues after the audio of confirmed words is dropped', () => {
    const agreement = new LocalAgreement();
    agreement.push(wordsOf('one two three four'));
    agreement.push(wordsOf('one two three four'));
    agreement.drop(2);
    expect(textOf(agreement.finish(wordsOf('three four five')))).to.equal('five');
  });

  it('returns everything that is left at the end, and starts again', () => {
    const agreement = new LocalAgreement();
    agreement.push(wordsOf('one two'));
    expect(textOf(agreement.finish(wordsOf('one two')))).to.equal('one two');
    expect(textOf(agreement.finish(wordsOf('one two')))).to.equal('one two');
    expect(textOf(agreement.push(wordsOf('one two')))).to.equal('');
  });
});

describe('the cut of a live window', () => {
  it('is after the last confirmed sentence, half way to the next word', () => {
    const cut = cutOf(wordsOf('so it is. And then'), [], 9);
    expect(cut?.words).to.equal(3);
    expect(cut?.atSeconds).to.be.closeTo(2.9, 1e-9);
    expect(
      cutOf(
        wordsOf('so it is.'),
        wordsOf('And then').map((word) => ({ ...word, startSeconds: 5 })),
        9,
      ),
    ).to.deep.equal({
      words: 3,
      atSeconds: 3.9,
    });
    expect(cutOf(wordsOf('so it is. And then'), [], 5)).to.equal(undefined);
  });

  it('is after the last confirmed word of a long window without sentences', () => {
    expect(cutOf(wordsOf('so it is'), [], 10)).to.equal(undefined);
    expect(cutOf(wordsOf('so it is'), [], 15)?.words).to.equal(3);
    expect(cutOf([], wordsOf('so it is'), 15)).to.equal(undefined);
  });
});

describe('UtteranceDetector', () => {
  it('ends an utterance where a pause of 0.6 s begins, not at a shorter one', () => {
    const detector = new UtteranceDetector();
    const steps = (count: number, probability: number) => new Array<number>(count).fill(probability);
    const edges = detector.push(
      Float32Array.from([...steps(3, 0), ...steps(4, 0.9), ...steps(10, 0.1), ...steps(2, 0.9), ...steps(30, 0.1)]),
    );
    expect(edges).to.deep.equal([
      { type: 'start', sample: 3 * 512 },
      { type: 'end', sample: 19 * 512 },
    ]);
    expect(detector.speaking).to.equal(false);
  });

  it('begins an utterance at a probability of 0.5, and ends it only from one below 0.35 on', () => {
    const detector = new UtteranceDetector();
    expect(detector.push(Float32Array.from([0.49, 0.5]))).to.deep.equal([{ type: 'start', sample: 512 }]);
    expect(detector.push(new Float32Array(30).fill(0.4))).to.deep.equal([]);
    expect(detector.push(Float32Array.from([0.3, ...new Array(18).fill(0.4)]))).to.deep.equal([
      { type: 'end', sample: 32 * 512 },
    ]);
  });
});
