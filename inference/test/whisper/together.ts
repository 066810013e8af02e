import { expect } from 'chai';
import type { WhisperResult } from '../../src/models/whisper/window.js';
import { CONTEXT, inRepository, inShared, needsShared } from '../support/paths.js';
import { SPEECH_OPTIONS, samplesOf, windowOf } from '../support/speech.js';
import { decodeTogether, loadWhisper, WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

/** Every decoding falls back: of the short input, of the complete one, and the sampled one. */
const NEVER_GOOD_ENOUGH = { ...SPEECH_OPTIONS, temperatures: [0, 0.4], logProbThreshold: 0 };

describe('windows decoded together', () => {
  let model: WhisperModel;
  let speech: Float32Array;
  let party: Float32Array;

  before(async function () {
    needsShared(this, WHISPER_BASE);
    model = await loadWhisper();
    speech = await samplesOf(inShared('samples/speech/jfk.wav'));
    party = await samplesOf(inRepository('demo/samples/speech/party.flac'));
  });

  after(async () => {
    await model?.close();
  });

  it('give bit-identical results in any batch', async () => {
    const four = (from: number) => speech.slice(from * 16_000, (from + 4) * 16_000);
    const windows = [
      windowOf(four(3)),
      windowOf(four(6), { language: undefined, options: { ...SPEECH_OPTIONS, timestamps: 'word' } }),
      windowOf(party.slice(0, 48_000), { promptText: 'Please bring a cake.' }),
      windowOf(four(3), { options: NEVER_GOOD_ENOUGH, seed: 7 }),
    ];
    const alone: WhisperResult[] = [];
    for (const window of windows) alone.push(...(await decodeTogether(model, [window])));
    expect(alone.every((result) => result.type === 'decode' && result.segments.length > 0)).to.equal(true);
    expect(await decodeTogether(model, [...windows].reverse())).to.deep.equal([...alone].reverse());
  });

  it('give the same results for complete windows that share runs', async () => {
    const whole = new Float32Array(18 * 16_000);
    whole.set(speech);
    const [one, other] = await decodeTogether(model, [windowOf(whole), windowOf(whole)]);
    expect(one?.type === 'decode' && one.segments.length > 0).to.equal(true);
    expect(other).to.deep.equal(one);
    expect(await decodeTogether(model, [windowOf(whole)])).to.deep.equal([one]);
  });

  it('continue when one of them is cancelled', async () => {
    const gone = new AbortController();
    gone.abort();
    const window = windowOf(speech.slice(0, 64_000));
    const [one, other] = await model.run([window, window], {
      ...CONTEXT,
      signals: [gone.signal, new AbortController().signal],
    });
    expect(one?.ok === false ? one.error.code : 'no error').to.equal('CANCELLED');
    expect(other?.ok).to.equal(true);
  });

  it("match the model's facts", () => {
    expect(model.facts.batching.shared).to.equal(true);
    expect(model.facts.batching.maxItems).to.equal(8);
  });
});
