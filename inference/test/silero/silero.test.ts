import { rm } from 'node:fs/promises';
import { expect } from 'chai';
import type { LoadedModel } from '../../src/models/model.js';
import { load as loadMoonshine } from '../../src/models/moonshine/model.js';
import { transcribeWithMoonshine } from '../../src/models/moonshine/transcribe.js';
import type { MoonshineResult, MoonshineWindow } from '../../src/models/moonshine/window.js';
import { runItem } from '../../src/models/outcomes.js';
import { detectVoiceActivity, openDetector, type VoiceActivityDetector } from '../../src/models/silero/detector.js';
import type { SpeechEvent } from '../../src/models/speech/speech.js';
import { openSpeech } from '../../src/models/speech/speech-source.js';
import { load as loadWhisper } from '../../src/models/whisper/model.js';
import { layOutEmbedded } from '../support/embedded.js';
import { CONTEXT, inRepository, modelFiles, needsShared, OPTIONS } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';
import { getSpeechTimestamps, voiceWeights } from '../support/silero.js';
import { eventsOf, joined, plainWords, SPEECH_OPTIONS, samplesOf, sourceOf, textOf } from '../support/speech.js';
import { transcribeWith, WHISPER_BASE, whisperFiles, whiteNoise } from '../support/whisper.js';

const SEARCH = 'you can search a video by the words that were spoken and by the things that were seen';
const MODELS = 'every model is downloaded once checked and then served without the network';
const WITH_VAD = { ...SPEECH_OPTIONS, vadFilter: true };
const GAP_SECONDS = 10;

function speech(name: string): Promise<Float32Array> {
  return samplesOf(inRepository(`demo/samples/speech/${name}.flac`));
}

async function withGap(): Promise<{ samples: Float32Array; firstSeconds: number }> {
  const first = await speech('search');
  const samples = joined([first, new Float32Array(GAP_SECONDS * 16_000), await speech('models')]);
  return { samples, firstSeconds: first.length / 16_000 };
}

function partsOf(events: readonly SpeechEvent[]) {
  const last = events.at(-1);
  if (last?.type !== 'summary') throw new Error('expected a summary at the end');
  const segments = events.flatMap((event) => (event.type === 'segment' ? [event.segment] : []));
  return { segments, summary: last.summary };
}

describe('Silero voice activity', () => {
  const { signal } = new AbortController();
  let detector: VoiceActivityDetector;

  before(async () => {
    const opened = await openDetector(voiceWeights());
    if (opened === undefined) throw new Error('expected a detector');
    detector = opened;
  });

  after(async () => {
    await detector.close();
    await detector.close();
  });

  for (const name of ['search', 'party', 'models']) {
    it(`finds speech in ${name}.flac and none in ten seconds of silence around it`, async () => {
      const silence = new Float32Array(160_000);
      const samples = await speech(name);
      const { probabilities } = await detector.run(joined([silence, samples, silence]), undefined, CONTEXT);
      const speechTimestamps = getSpeechTimestamps(probabilities, 320_000 + samples.length);
      expect(speechTimestamps.length).to.equal(1);
      expect(speechTimestamps[0]?.start).to.be.within(160_000 - 8000, 160_000 + 8000);
      expect(speechTimestamps[0]?.end).to.be.within(160_000 + samples.length - 16_000, 160_000 + samples.length + 8000);
    });
  }

  it('detects none in silence and in noise', async () => {
    for (const samples of [new Float32Array(160_000), whiteNoise(10, 0.01), whiteNoise(10, 0.1)]) {
      const { probabilities } = await detector.run(samples, undefined, CONTEXT);
      expect(probabilities.length).to.equal(313);
      expect(getSpeechTimestamps(probabilities, samples.length)).to.deep.equal([]);
    }
  });

  it('returns the same probabilities in one run and in several', async () => {
    const samples = await speech('search');
    const whole = await detector.run(samples, undefined, CONTEXT);
    const first = await detector.run(samples.subarray(0, 50 * 512), undefined, CONTEXT);
    const rest = await detector.run(samples.subarray(50 * 512), first.state, CONTEXT);
    expect([...first.probabilities, ...rest.probabilities]).to.deep.equal([...whole.probabilities]);
    expect(rest.state).to.deep.equal(whole.state);
  });

  it('stops when cancelled', async () => {
    const context = { ...CONTEXT, signals: [AbortSignal.abort()] };
    const outcome = await runItem(context, 0, (item) => detector.run(new Float32Array(160_000), undefined, item));
    expect(!outcome.ok && outcome.error.code).to.equal('CANCELLED');
  });

  it('names the variable that enables it if it is disabled', async () => {
    const window = { type: 'vad', samples: new Float32Array(512), state: undefined } as const;
    const error = await errorOf(detectVoiceActivity(undefined, window, CONTEXT));
    expect(error.code).to.equal('FEATURE_DISABLED');
    expect(error.message).to.contain('FEATURE_VAD=true');
  });

  it('keeps only the speech of a long audio file, in windows of 30 s, and restores its times', async () => {
    const chunks = [whiteNoise(25, 0.001), await speech('party'), whiteNoise(50, 0.001), await speech('models')];
    const samples = joined(chunks);
    const windows: number[] = [];
    const submit = async (window: Parameters<typeof detectVoiceActivity>[1]) => {
      windows.push(window.samples.length);
      return detectVoiceActivity(detector, window, CONTEXT);
    };
    const options = { ...WITH_VAD, clipStartSeconds: 10 };
    const { audio, times, lengths } = openSpeech(sourceOf(samples), options, submit, signal);
    const kept: Float32Array[] = [];
    while (await audio.fill(16_000)) {
      kept.push(audio.peek(16_000));
      audio.drop(16_000);
    }
    expect(Math.max(...windows)).to.be.at.most(480_000);
    expect(windows.length).to.equal(Math.ceil((samples.length - 160_000) / (937 * 512)));
    const all = joined(kept);
    expect(lengths().durationSeconds).to.equal(samples.length / 16_000);
    expect(lengths().keptSeconds).to.equal(all.length / 16_000);
    expect(all.length / 16_000).to.be.below((chunks[1]?.length ?? 0) / 16_000 + (chunks[3]?.length ?? 0) / 16_000 + 2);
    // Every kept sample is at its restored time.
    for (let at = 0; at < all.length; at += 997) {
      const position = Math.round(times.endOf((at + 1) / 16_000) * 16_000) - 1;
      expect(all[at]).to.equal(samples[position]);
    }
  });

  describe('before Moonshine', () => {
    let dir: string;
    let model: LoadedModel<MoonshineWindow, MoonshineResult>;
    const submit = async (window: MoonshineWindow): Promise<MoonshineResult> => {
      const [outcome] = await model.run([window], CONTEXT);
      if (outcome?.ok !== true) throw outcome?.error;
      return outcome.value;
    };
    const transcribe = (samples: Float32Array) =>
      eventsOf(transcribeWithMoonshine(sourceOf(samples), WITH_VAD, submit, signal));

    before(async () => {
      dir = await layOutEmbedded('onnx-community/moonshine-tiny-ONNX');
      const files = modelFiles('onnx-community/moonshine-tiny-ONNX', dir, {
        encoder: 'onnx/encoder_model_quantized.onnx',
        decoder: 'onnx/decoder_model_merged_quantized.onnx',
      });
      model = await loadMoonshine({ ...files, weights: { ...files.weights, vad: voiceWeights() } }, OPTIONS);
    });

    after(async () => {
      await model.close();
      await rm(dir, { recursive: true });
    });

    it('leaves out a gap of ten seconds, and the times after it are those of the audio', async () => {
      const { samples, firstSeconds } = await withGap();
      const events = await transcribe(samples);
      expect(plainWords(textOf(events))).to.equal(`${SEARCH} ${MODELS}`);
      const { segments, summary } = partsOf(events);
      const second = segments.find((segment) => plainWords(segment.text).startsWith('every model'));
      expect(second?.startSeconds).to.be.within(firstSeconds + GAP_SECONDS - 0.5, firstSeconds + GAP_SECONDS + 0.5);
      expect(segments.at(-1)?.endSeconds).to.be.at.most(samples.length / 16_000);
      expect(summary.durationSeconds).to.equal(samples.length / 16_000);
      expect(summary.speechSeconds).to.be.within(firstSeconds, samples.length / 16_000 - GAP_SECONDS + 1);
    });

    it('finds nothing in silence, in noise and in nothing', async () => {
      for (const samples of [new Float32Array(160_000), whiteNoise(10, 0.05), new Float32Array(0)]) {
        const { segments, summary } = partsOf(await transcribe(samples));
        expect(segments).to.deep.equal([]);
        expect(summary.speechSeconds).to.equal(0);
        expect(summary.durationSeconds).to.equal(samples.length / 16_000);
      }
    });
  });

  describe('before Whisper', () => {
    it('leaves out a gap of ten seconds, and segments and words have the times of the audio', async function () {
      needsShared(this, WHISPER_BASE);
      const files = whisperFiles();
      const model = await loadWhisper({ ...files, weights: { ...files.weights, vad: voiceWeights() } }, OPTIONS);
      try {
        const { samples, firstSeconds } = await withGap();
        const events = await transcribeWith(model, samples, { vadFilter: true, timestamps: 'word' });
        expect(plainWords(textOf(events))).to.equal(`${SEARCH} ${MODELS}`);
        const { segments, summary } = partsOf(events);
        const words = segments.flatMap((segment) => segment.words);
        const every = words.find((word) => plainWords(word.text) === 'every');
        const seen = words.find((word) => plainWords(word.text) === 'seen');
        expect(seen?.endSeconds).to.be.at.most(firstSeconds + 0.5);
        expect(every?.startSeconds).to.be.within(firstSeconds + GAP_SECONDS - 0.5, firstSeconds + GAP_SECONDS + 0.7);
        expect(summary.durationSeconds).to.equal(samples.length / 16_000);
        expect(summary.speechSeconds).to.be.below(samples.length / 16_000 - GAP_SECONDS + 1);

        const silent = partsOf(await transcribeWith(model, new Float32Array(160_000), { vadFilter: true }));
        expect(silent.segments).to.deep.equal([]);
        expect(silent.summary).to.include({ durationSeconds: 10, speechSeconds: 0, languageProbability: 0 });
      } finally {
        await model.close();
      }
    });
  });
});
