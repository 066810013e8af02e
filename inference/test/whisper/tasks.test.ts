import { expect } from 'chai';
import { inShared, needsShared } from '../support/places.js';
import { plainWords, samplesOf, textOf } from '../support/speech.js';
import { hearWith, loadWhisper, WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

const SAID = 'he was not an ill disposed young man';

describe('what Whisper is asked to do', function () {
  this.timeout(60_000);
  let model: WhisperModel;
  let samples: Float32Array;

  before(async function () {
    needsShared(this, WHISPER_BASE);
    model = await loadWhisper();
    samples = await samplesOf(inShared('samples/speech/sense_and_sensibility_01_austen_64kb-0880.wav'));
  });
  after(async () => {
    await model?.close();
  });

  it('writes the language it is told, as faster-whisper does for the same English sentence', async () => {
    const text = textOf(await hearWith(model, samples, { language: 'de', temperatures: [0] }));
    expect(text).to.equal('Er war nicht ein altes jungen Mann.');
  });

  for (const language of ['de', 'fr']) {
    it(`writes English of what it is told to be in another language: ${language}`, async () => {
      const options = { language, task: 'translate', temperatures: [0] } as const;
      expect(plainWords(textOf(await hearWith(model, samples, options)))).to.equal(SAID);
    });
  }

  it('finds the words with five beams as well, and with word times', async () => {
    const options = { beamSize: 5, timestamps: 'word' } as const;
    const events = await hearWith(model, samples, options);
    expect(plainWords(textOf(events))).to.equal(SAID);
    const words = events.flatMap((event) => (event.type === 'segment' ? event.segment.words : []));
    expect(words.map(({ text }) => plainWords(text)).join(' ')).to.equal(SAID);
  });
});
