import { rm } from 'node:fs/promises';
import { embeddedRepositories } from '@heimdex/hub';
import { expect } from 'chai';
import type { LoadedModel } from '../../src/models/model.js';
import { load } from '../../src/models/moonshine/model.js';
import { transcribeWithMoonshine } from '../../src/models/moonshine/transcribe.js';
import type { MoonshineResult, MoonshineWindow } from '../../src/models/moonshine/window.js';
import { MOONSHINE } from '../fixtures/volume.js';
import { expectSamePrepared } from '../optimized/forms.js';
import { GAP_SECONDS, partsOf, SAID, withGap } from '../silero/gap.js';
import { layOutEmbedded } from '../support/embedded.js';
import { CONTEXT, inRepository, modelFiles, OPTIONS } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';
import { voiceWeights } from '../support/silero.js';
import { eventsOf, plainWords, SPEECH_OPTIONS, samplesOf, sourceOf, textOf, wordErrors } from '../support/speech.js';
import { whiteNoise } from '../support/whisper.js';

const SENTENCES = {
  'search.flac': 'you can search a video by the words that were spoken and by the things that were seen',
  'party.flac': 'please remember to bring the cake the candles and a bottle of water to the party on saturday',
  'models.flac': 'every model is downloaded once checked and then served without the network',
};

const WITH_VAD = { ...SPEECH_OPTIONS, vadFilter: true };

describe('Moonshine', () => {
  const signal = new AbortController().signal;
  let dir: string;
  let model: LoadedModel<MoonshineWindow, MoonshineResult>;

  before(async () => {
    dir = await layOutEmbedded(MOONSHINE);
    const { weights, ...files } = modelFiles(MOONSHINE, dir, {
      encoder: 'onnx/encoder_model_quantized.onnx',
      decoder: 'onnx/decoder_model_merged_quantized.onnx',
    });
    model = await load({ ...files, weights: { ...weights, vad: voiceWeights() } }, OPTIONS);
  });

  after(async () => {
    await model.close();
    await model.close();
    await rm(dir, { recursive: true });
  });

  const submit = async (window: MoonshineWindow): Promise<MoonshineResult> => {
    const [outcome] = await model.run([window], CONTEXT);
    if (outcome?.ok !== true) throw outcome?.error;
    return outcome.value;
  };

  const transcribe = (samples: Float32Array, options = SPEECH_OPTIONS) =>
    eventsOf(transcribeWithMoonshine(sourceOf(samples), options, submit, signal));

  for (const [name, words] of Object.entries(SENTENCES)) {
    it(`transcribes ${name} word for word`, async () => {
      const events = await transcribe(await samplesOf(inRepository(`demo/samples/speech/${name}`)));
      expect(plainWords(textOf(events))).to.equal(words);
    });
  }

  it('cuts a long audio file at its pauses and transcribes each sentence, one word off at most', async () => {
    const parts = await Promise.all(
      Object.keys(SENTENCES).map((name) => samplesOf(inRepository(`demo/samples/speech/${name}`))),
    );
    const pause = new Float32Array(16_000);
    const joined = parts.flatMap((part) => [part, pause]);
    const samples = new Float32Array(joined.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of joined) {
      samples.set(part, offset);
      offset += part.length;
    }
    const events = await transcribe(samples);
    // The quantized model wavers between "a bottle" and "the bottle" with the silence around the sentence.
    expect(wordErrors(textOf(events), Object.values(SENTENCES).join(' '))).to.be.at.most(1);
    expect(events.filter((event) => event.type === 'segment').length).to.equal(3);
    const last = events.at(-1);
    expect(last?.type === 'summary' && last.summary.durationSeconds).to.be.closeTo(samples.length / 16_000, 1e-6);
  });

  it('transcribes only the requested clip', async () => {
    const search = await samplesOf(inRepository('demo/samples/speech/search.flac'));
    const models = await samplesOf(inRepository('demo/samples/speech/models.flac'));
    const samples = new Float32Array(search.length + models.length);
    samples.set(search);
    samples.set(models, search.length);
    const events = await transcribe(samples, { ...SPEECH_OPTIONS, clipStartSeconds: search.length / 16_000 });
    expect(plainWords(textOf(events))).to.equal(SENTENCES['models.flac']);
    const first = events.find((event) => event.type === 'segment');
    expect(first?.type === 'segment' && first.segment.startSeconds).to.be.at.least(search.length / 16_000 - 0.1);
  });

  it('finds no segment in silence, in faint noise, in one sample or in none', async () => {
    let seed = 1;
    const noise = Float32Array.from({ length: 80_000 }, () => {
      seed = (seed * 48_271) % 2_147_483_647;
      return (seed / 2_147_483_647 - 0.5) * 0.03;
    });
    for (const samples of [new Float32Array(80_000), noise, Float32Array.of(0.5), new Float32Array(0)]) {
      const events = await transcribe(samples);
      expect(events.filter((event) => event.type === 'segment')).to.deep.equal([]);
      expect(events.at(-1)?.type).to.equal('summary');
    }
  });

  it('stops a cancelled utterance between two decoding steps', async () => {
    const samples = await samplesOf(inRepository('demo/samples/speech/search.flac'));
    const abort = new AbortController();
    let steps = 0;
    const yieldToEventLoop = async () => {
      steps += 1;
      if (steps === 4) abort.abort();
    };
    const [outcome] = await model.run([{ type: 'utterance', samples }], { signals: [abort.signal], yieldToEventLoop });
    expect(outcome?.ok === false && outcome.error.code).to.equal('CANCELLED');
    expect(steps).to.equal(4);
  });

  const refused = [
    [{ language: 'de' }, 'LANGUAGE_UNSUPPORTED', 'ASR_MODEL=base'],
    [{ live: true }, 'TIMESTAMPS_UNSUPPORTED', 'Moonshine does not support live. Serve Whisper'],
    [{ task: 'translate' }, 'INVALID_ARGUMENT', 'ASR_MODEL=base'],
    [{ timestamps: 'word' }, 'TIMESTAMPS_UNSUPPORTED', 'whisper-base_timestamped'],
  ] as const;
  for (const [change, code, remedy] of refused) {
    it(`refuses ${JSON.stringify(change)} and names what would do it`, async () => {
      const error = await errorOf(transcribe(new Float32Array(16_000), { ...SPEECH_OPTIONS, ...change }));
      expect(error.code).to.equal(code);
      expect(error.message).to.contain(remedy);
    });
  }

  describe('with voice activity', () => {
    it('leaves out a gap of ten seconds, and the times after it are those of the audio', async () => {
      const { samples, firstSeconds } = await withGap();
      const events = await transcribe(samples, WITH_VAD);
      expect(plainWords(textOf(events))).to.equal(SAID);
      const { segments, summary } = partsOf(events);
      const second = segments.find((segment) => plainWords(segment.text).startsWith('every model'));
      expect(second?.startSeconds).to.be.within(firstSeconds + GAP_SECONDS - 0.5, firstSeconds + GAP_SECONDS + 0.5);
      expect(segments.at(-1)?.endSeconds).to.be.at.most(samples.length / 16_000);
      expect(summary.durationSeconds).to.equal(samples.length / 16_000);
      expect(summary.speechSeconds).to.be.within(firstSeconds, samples.length / 16_000 - GAP_SECONDS + 1);
    });

    it('finds nothing in silence, in noise and in nothing', async () => {
      for (const samples of [new Float32Array(160_000), whiteNoise(10, 0.05), new Float32Array(0)]) {
        const { segments, summary } = partsOf(await transcribe(samples, WITH_VAD));
        expect(segments).to.deep.equal([]);
        expect(summary.speechSeconds).to.equal(0);
        expect(summary.durationSeconds).to.equal(samples.length / 16_000);
      }
    });
  });

  it('has the same text when prepared', async function () {
    // prepare chooses the form of the weights by the CPU.
    if (OPTIONS.weights !== undefined) this.skip();
    const samples = (await samplesOf(inRepository('demo/samples/speech/search.flac'))).slice(0, 3 * 16_000);
    const files = (await embeddedRepositories()).find(({ name }) => name === MOONSHINE)?.files ?? [];
    await expectSamePrepared(MOONSHINE, files, model, { type: 'utterance', samples });
  });
});
