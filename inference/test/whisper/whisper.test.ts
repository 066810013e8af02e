import { expect } from 'chai';
import { InferenceError } from '../../src/errors.js';
import type { DecodeResult } from '../../src/models/whisper/window.js';
import {
  expectGoldenSpeech,
  type GoldenSpeech,
  goldenSpeech,
  segmentsOf,
  summaryOf,
} from '../support/golden-speech.js';
import { music } from '../support/music.js';
import { inRepository, inShared, needsShared } from '../support/paths.js';
import { joined, plainWords, SPEECH_OPTIONS, samplesOf, textOf, windowOf, wordErrors } from '../support/speech.js';
import {
  decodeTogether,
  loadWhisper,
  transcribeWith,
  WHISPER_BASE,
  type WhisperModel,
  whiteNoise,
} from '../support/whisper.js';
import { testPrepared } from './prepared.js';
import { testTasks } from './tasks.js';
import { testTogether } from './together.js';
import { testVoiceActivity } from './voice-activity.js';

const SAID = {
  'search.flac': 'you can search a video by the words that were spoken and by the things that were seen',
  'party.flac': 'please remember to bring the cake the candles and a bottle of water to the party on saturday',
};

/** Every decoding fails, as with all six temperatures, in a third of the time. */
const FALLBACK = [0, 0.2];

/** An audio file longer than a window, of every one with a known text and a synthesized sentence, and what is said in it. */
async function longAudio(golden: GoldenSpeech): Promise<{ chunks: Float32Array[]; said: string }> {
  const said: string[] = [];
  const chunks: Float32Array[] = [];
  for (const [name, { text }] of Object.entries(golden)) {
    if (text === undefined) continue;
    chunks.push(await samplesOf(inShared(`samples/speech/${name}`)));
    said.push(text);
  }
  chunks.push(await samplesOf(inRepository('demo/samples/speech/party.flac')));
  said.push(SAID['party.flac']);
  return { chunks, said: said.join(' ') };
}

describe('Whisper base', () => {
  let model: WhisperModel;
  let golden: GoldenSpeech;

  before(async function () {
    needsShared(this, WHISPER_BASE);
    golden = goldenSpeech();
    model = await loadWhisper();
    await model.warmUp();
  });

  after(async () => {
    await model?.close();
    await model?.close();
  });

  it("returns faster-whisper's words and language, the words 0.15 s off at the median and 0.4 s at the worst", async () => {
    await expectGoldenSpeech(model, golden);
  });

  it('is not misled by the text before a window into repeating it', async () => {
    const decoded = async (samples: Float32Array, given: Parameters<typeof windowOf>[1]) =>
      (await decodeTogether(model, [windowOf(samples, given)]))[0] as DecodeResult;
    const read = async (path: string) => joined([await samplesOf(path), new Float32Array(12_000)]);
    const models = await read(inRepository('demo/samples/speech/models.flac'));
    const party = await read(inRepository('demo/samples/speech/party.flac'));
    const austen = (part: string) => read(inShared(`samples/speech/sense_and_sensibility_01_austen_64kb-${part}.wav`));
    const samples = joined([models, await austen('0930'), await austen('0880'), models, party]).slice(0, 480_000);
    const sentence = (await decoded(models, {})).segments.flatMap(({ tokens }) => tokens);
    const withPrompt = (sentences: number, compressionRatioThreshold: number) => {
      const options = { ...SPEECH_OPTIONS, temperatures: [0], compressionRatioThreshold };
      return decoded(samples, { options, promptTokens: Array<number[]>(sentences).fill(sentence).flat() });
    };
    // What repeats itself more than the right text does is decoded again without the text before.
    const right = await withPrompt(0, Number.POSITIVE_INFINITY);
    const threshold = right.segments[0]?.compressionRatio ?? 0;
    // Said three to six times before, the model is sure that it is said again. How often depends on the CPU's products.
    let misled: DecodeResult | undefined;
    for (const sentences of [4, 3, 5, 6]) {
      misled = await withPrompt(sentences, threshold);
      if (misled.tokensBefore.length === 0) break;
    }
    expect(misled?.tokensBefore, 'the text before stays').to.deep.equal([]);
    expect(misled?.segments.map(({ text }) => text).join(''))
      .to.include('made amiable')
      .and.include('young man');
  });

  it('finds no segment in silence and in faint noise', async () => {
    for (const samples of [
      new Float32Array(160_000),
      whiteNoise(10, 0.01),
      new Float32Array(10),
      new Float32Array(0),
    ]) {
      const events = await transcribeWith(model, samples);
      expect(segmentsOf(events)).to.deep.equal([]);
      expect(summaryOf(events)?.durationSeconds).to.equal(samples.length / 16_000);
    }
  });

  it('makes up no text for music in a given language: no "like and subscribe" in Korean', async () => {
    const options = { language: 'ko', temperatures: FALLBACK };
    expect(segmentsOf(await transcribeWith(model, music(11, 17), options))).to.deep.equal([]);
  });

  it('transcribes speech in noise that is 3 dB louder, with low confidence, as faster-whisper does', async () => {
    const speech = await samplesOf(inRepository('demo/samples/speech/models.flac'));
    const power = speech.reduce((sum, sample) => sum + sample ** 2, 0) / speech.length;
    // Some noise is louder where the words are; which of it hides them depends on the CPU's products.
    let transcribed = '';
    for (let seed = 2; transcribed === '' && seed <= 5; seed += 1) {
      const noise = whiteNoise(speech.length / 16_000, Math.sqrt(2 * power), seed);
      const noisy = speech.map((sample, i) => sample + (noise[i] ?? 0));
      transcribed = textOf(await transcribeWith(model, noisy, { language: 'en', temperatures: [0] }));
    }
    expect(transcribed).to.not.equal('');
  });

  it('goes through an audio file longer than a window, each segment after the one before', async () => {
    const { chunks, said } = await longAudio(golden);
    const samples = joined(chunks.flatMap((chunk) => [chunk, new Float32Array(24_000)]));
    expect(samples.length).to.be.above(35 * 16_000);
    const events = await transcribeWith(model, samples);
    expect(wordErrors(textOf(events), said)).to.be.at.most(2);
    const segments = segmentsOf(events);
    segments.forEach((segment, index) => {
      expect(segment.id).to.equal(index);
      expect(segment.endSeconds).to.be.above(segment.startSeconds);
      expect(segment.startSeconds).to.be.at.least(segments[index - 1]?.endSeconds ?? 0);
      for (const seconds of [segment.startSeconds, segment.endSeconds]) {
        expect(seconds).to.equal(Math.round(seconds * 16_000) / 16_000);
      }
    });
    const progress = events.flatMap((event) => (event.type === 'progress' ? [event.processedSeconds] : []));
    expect(progress).to.deep.equal([...progress].sort((one, other) => one - other));
    expect(progress.at(-1)).to.be.closeTo(samples.length / 16_000, 1e-9);
  });

  it('transcribes a sentence after a long silence once, at its time, without the previous text', async () => {
    const names = ['search.flac', 'party.flac'] as const;
    const sentences = await Promise.all(names.map((name) => samplesOf(inRepository(`demo/samples/speech/${name}`))));
    const silence = new Float32Array(39 * 16_000);
    const samples = joined(sentences.flatMap((sentence) => [sentence, silence]));
    const events = await transcribeWith(model, samples, { conditionOnPreviousText: false, language: 'en' });
    expect(plainWords(textOf(events))).to.equal(names.map((name) => SAID[name]).join(' '));
    let start = 0;
    for (const [index, segment] of segmentsOf(events).entries()) {
      expect(segment.startSeconds).to.be.closeTo(start, 0.5);
      start += 39 + (sentences[index]?.length ?? 0) / 16_000;
    }
  });

  it('begins a segment where its sound begins, not at the silence before it', async () => {
    const sentence = await samplesOf(inRepository('demo/samples/speech/search.flac'));
    const samples = joined([new Float32Array(2 * 16_000), sentence]);
    const [segment] = segmentsOf(await transcribeWith(model, samples, { language: 'en' }));
    // The sentence itself begins after half a second.
    expect(segment?.startSeconds).to.be.closeTo(2.5, 0.1);
  });

  it('returns no segment that the times of its words leave without a length', async () => {
    const sentence = await samplesOf(inRepository('demo/samples/speech/party.flac'));
    // With silence before the sentence and no end allowed before the speech ends, the model repeats the sentence.
    const samples = joined([new Float32Array(13.35 * 16_000), sentence, new Float32Array(4 * 16_000)]);
    const options = { ...SPEECH_OPTIONS, timestamps: 'word', temperatures: [0] } as const;
    const [result] = await decodeTogether(model, [windowOf(samples, { options, speechEnd: 19.68 * 16_000 })]);
    const { segments, tokens } = result as DecodeResult;
    expect(plainWords(segments.map(({ text }) => text).join(''))).to.contain(SAID['party.flac']);
    for (const { startSeconds, endSeconds } of segments) expect(endSeconds).to.be.above(startSeconds);
    expect(tokens).to.have.length(segments.length);
  });

  it('returns one segment per window without timestamps', async () => {
    const samples = await samplesOf(inRepository('demo/samples/speech/search.flac'));
    const [segment, ...others] = segmentsOf(
      await transcribeWith(model, samples, { timestamps: 'none', language: 'en' }),
    );
    expect(others).to.deep.equal([]);
    expect(plainWords(segment?.text ?? '')).to.equal(SAID['search.flac']);
    expect([segment?.startSeconds, segment?.endSeconds]).to.deep.equal([0, samples.length / 16_000]);
  });

  it('uses names and spelling from the preceding text', async () => {
    const path = inShared('samples/speech/sense_and_sensibility_01_austen_64kb-0870.wav');
    const samples = (await samplesOf(path)).subarray(0, 3 * 16_000);
    for (const overrides of [{ initialPrompt: 'Mister John Dashwoud and his sisters.' }, { hotwords: 'Dashwoud' }]) {
      expect(textOf(await transcribeWith(model, samples, { language: 'en', ...overrides }))).to.contain('Dashwoud');
    }
  });

  it('leaves out no word because the text before has it', async () => {
    const samples = await samplesOf(inShared('samples/speech/sense_and_sensibility_01_austen_64kb-0880.wav'));
    const events = await transcribeWith(model, samples, {
      language: 'en',
      hotwords: 'ill-disposed',
      temperatures: [0],
    });
    expect(plainWords(textOf(events))).to.match(/^he was not an ill.?disposed young man$/);
  });

  it('rejects an unknown language and lists the known ones', async () => {
    const error = await transcribeWith(model, new Float32Array(16_000), { language: 'xx' }).catch(
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(InferenceError);
    expect((error as InferenceError).code).to.equal('LANGUAGE_UNSUPPORTED');
    expect((error as InferenceError).message).to.contain('de, el, en, es');
  });

  it('stops a cancelled window between two decoding steps', async () => {
    const samples = await samplesOf(inRepository('demo/samples/speech/search.flac'));
    const abort = new AbortController();
    let rests = 0;
    const yieldToEventLoop = async () => {
      rests += 1;
      if (rests === 6) abort.abort();
    };
    const [outcome] = await model.run([windowOf(samples, { language: undefined })], {
      signals: [abort.signal],
      yieldToEventLoop,
    });
    expect(outcome?.ok === false && outcome.error.code).to.equal('CANCELLED');
    expect(rests).to.equal(6);
  });

  describe('asked for a task', () => testTasks(() => model));
  describe('with windows decoded together', () => testTogether(() => model));
  describe('with voice activity', () => testVoiceActivity(() => model));
  describe('when prepared', () => testPrepared(() => model));
});
