import { expect } from 'chai';
import { runItem } from '../../src/models/outcomes.js';
import { detectVoiceActivity, openDetector, type VoiceActivityDetector } from '../../src/models/silero/detector.js';
import { openSpeech } from '../../src/models/speech/speech-source.js';
import { CONTEXT } from '../support/paths.js';
import { errorOf } from '../support/rejection.js';
import { getSpeechTimestamps, voiceWeights } from '../support/silero.js';
import { joined, SPEECH_OPTIONS, sourceOf } from '../support/speech.js';
import { whiteNoise } from '../support/whisper.js';
import { speech } from './gap.js';

const WITH_VAD = { ...SPEECH_OPTIONS, vadFilter: true };

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
});
