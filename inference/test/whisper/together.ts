import { expect } from 'chai';
import type { WhisperResult } from '../../src/models/whisper/window.js';
import { CONTEXT, inRepository, inShared } from '../support/paths.js';
import { SPEECH_OPTIONS, samplesOf, windowOf } from '../support/speech.js';
import { decodeTogether, type WhisperModel } from '../support/whisper.js';

/** The tests of windows that Whisper base decodes together. */
export function testTogether(whisper: () => WhisperModel): void {
  let speech: Float32Array;

  before(async () => {
    speech = await samplesOf(inShared('samples/speech/jfk.wav'));
  });

  const part = (from: number, to: number) => speech.slice(from * 16_000, to * 16_000);

  it('gives bit-identical results in any batch', async () => {
    const party = await samplesOf(inRepository('demo/samples/speech/party.flac'));
    const windows = [
      windowOf(part(3, 7)),
      // Begins within a word: falls back from the short input to the complete one.
      windowOf(part(6, 10), { language: undefined, options: { ...SPEECH_OPTIONS, timestamps: 'word' } }),
      windowOf(party.slice(0, 48_000), { promptText: 'Please bring a cake.' }),
      windowOf(part(3, 7), { options: { ...SPEECH_OPTIONS, temperatures: [0.4] }, seed: 7 }),
    ];
    const alone: WhisperResult[] = [];
    for (const window of windows) alone.push(...(await decodeTogether(whisper(), [window])));
    expect(alone.every((result) => result.type === 'decode' && result.segments.length > 0)).to.equal(true);
    expect(await decodeTogether(whisper(), [...windows].reverse())).to.deep.equal([...alone].reverse());
  });

  it('gives the same results for complete inputs that share runs', async () => {
    // Too long for a short input.
    const long = new Float32Array(18 * 16_000);
    long.set(part(8, 11));
    const [one, other] = await decodeTogether(whisper(), [windowOf(long), windowOf(long)]);
    expect(one?.type === 'decode' && one.segments.length > 0).to.equal(true);
    expect(other).to.deep.equal(one);
    expect(await decodeTogether(whisper(), [windowOf(long)])).to.deep.equal([one]);
  });

  it('continues when one of them is cancelled', async () => {
    const gone = new AbortController();
    gone.abort();
    const window = windowOf(part(0, 4));
    const [one, other] = await whisper().run([window, window], {
      ...CONTEXT,
      signals: [gone.signal, new AbortController().signal],
    });
    expect(one?.ok === false ? one.error.code : 'no error').to.equal('CANCELLED');
    expect(other?.ok).to.equal(true);
  });

  it("matches the model's facts", () => {
    expect(whisper().facts.batching).to.include({ shared: true, maxItems: 8 });
  });
}
