import { expect } from 'chai';
import type { SpeechSegment } from '../../src/models/speech.js';
import { type WindowSilence, withoutHallucinations } from '../../src/models/whisper/hallucinations.js';
import { inRepository, needsShared } from '../support/places.js';
import { joined, plainWords, samplesOf, textOf } from '../support/speech.js';
import { hearWith, loadWhisper, WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

/** A segment of words half a second long; a probability below 0.15 makes them suspicious. */
function segmentAt(startSeconds: number, count: number, probability: number): SpeechSegment {
  const words = Array.from({ length: count }, (_, index) => ({
    text: ` word${index}`,
    startSeconds: startSeconds + index / 2,
    endSeconds: startSeconds + (index + 1) / 2,
    probability,
  }));
  return {
    id: 0,
    startSeconds,
    endSeconds: startSeconds + count / 2,
    text: words.map(({ text }) => text).join(''),
    tokens: [],
    avgLogProb: -0.2,
    compressionRatio: 1,
    noSpeechProb: 0,
    temperature: 0,
    words,
  };
}

const WINDOW: WindowSilence = {
  thresholdSeconds: 2,
  advanceSeconds: 28,
  windowSeconds: 30,
  startSeconds: 60,
  lastSpeechSeconds: -1,
  endSeconds: Number.POSITIVE_INFINITY,
};
const SURE = 0.9;
const UNSURE = 0.05;

describe('the guard against words made up in silence', () => {
  it('lets sure words be, however much silence is around them', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(15, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments, advanceSeconds: 28 });
  });

  it('skips the silence before suspicious words that begin a window, and listens again from there', () => {
    const segments = [segmentAt(9, 4, UNSURE), segmentAt(15, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments: [], advanceSeconds: 9 });
  });

  it('drops suspicious words between silences, and what comes behind them is heard again', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE), segmentAt(20, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW)).to.deep.equal({ segments: [segments[0]], advanceSeconds: 12 });
  });

  it('keeps suspicious words that speech stands right behind', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE), segmentAt(14.5, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW).segments).to.deep.equal(segments);
  });

  it('ends the recording with what is made up in the silence at its end', () => {
    const segments = [segmentAt(1, 4, SURE), segmentAt(12, 4, UNSURE)];
    expect(withoutHallucinations(segments, { ...WINDOW, windowSeconds: 18, endSeconds: 15 })).to.deep.equal({
      segments: [segments[0]],
      advanceSeconds: 15,
    });
  });

  it('takes words for suspicious that are longer or shorter than any said', () => {
    const long = segmentAt(12, 1, SURE);
    const stretched = { ...long, words: [{ ...(long.words[0] as (typeof long.words)[0]), endSeconds: 15.5 }] };
    const segments = [segmentAt(1, 4, SURE), { ...stretched, endSeconds: 15.5 }, segmentAt(20, 4, SURE)];
    expect(withoutHallucinations(segments, WINDOW).segments).to.have.length(1);
  });
});

describe('the guard in a recording', function () {
  this.timeout(120_000);
  const SAID = 'every model is downloaded once checked and then served without the network';
  const GREEDY = { language: 'en', temperatures: [0], timestamps: 'word' } as const;
  let model: WhisperModel;

  before(async function () {
    needsShared(this, WHISPER_BASE);
    model = await loadWhisper();
  });
  after(async () => {
    await model?.close();
  });

  /** A sentence, and behind it 20 s of another one backwards, which says nothing. */
  async function sentenceAndNonsense(): Promise<Float32Array> {
    const demo = (name: string) => samplesOf(inRepository(`demo/samples/speech/${name}.flac`));
    const backwards = (await demo('party')).reverse();
    const nonsense = Float32Array.from({ length: 320_000 }, (_, at) => 0.3 * (backwards[at % backwards.length] ?? 0));
    return joined([await demo('models'), new Float32Array(8_000), nonsense, new Float32Array(24_000)]);
  }

  /** faster-whisper 1.2.1 (int8, greedy) says the sentence four times more behind it, and with the option once alone. */
  it('takes out what is made up behind a sentence, and leaves the sentence', async () => {
    const samples = await sentenceAndNonsense();
    const plain = plainWords(textOf(await hearWith(model, samples, GREEDY)));
    expect(plain.startsWith(`${SAID} `), plain).to.equal(true);
    const guarded = await hearWith(model, samples, { ...GREEDY, hallucinationSilenceSeconds: 2 });
    expect(plainWords(textOf(guarded))).to.equal(SAID);
    const last = guarded.at(-1);
    expect(last?.type === 'summary' && last.summary.durationSeconds).to.equal(samples.length / 16_000);
  });
});
