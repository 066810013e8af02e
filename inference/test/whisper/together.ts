import { expect } from 'chai';
import type { WhisperResult } from '../../src/models/whisper/window.js';
import { CONTEXT, inRepository, inShared } from '../support/paths.js';
import { joined, SPEECH_OPTIONS, samplesOf, windowOf } from '../support/speech.js';
import { decodeTogether, type WhisperModel } from '../support/whisper.js';

/** The tests of windows that Whisper base decodes together. */
export function testTogether(whisper: () => WhisperModel): void {
  let speech: Float32Array;

  before(async () => {
    speech = await samplesOf(inShared('samples/speech/jfk.wav'));
  });

  const part = (from: number, to: number) => speech.slice(from * 16_000, to * 16_000);

  it('gives bit-identical results in any batch, also at a temperature above 0', async () => {
    const party = await samplesOf(inRepository('demo/samples/speech/party.flac'));
    // Too long for a short input.
    const long = (said: Float32Array) => joined([said, new Float32Array(18 * 16_000 - said.length)]);
    const sampled = { ...SPEECH_OPTIONS, timestamps: 'word', temperatures: [0.8], logProbThreshold: -9 } as const;
    const windows = [
      // Two of a length share runs: of complete inputs, and of short ones.
      windowOf(long(part(8, 11))),
      windowOf(long(part(3, 7))),
      windowOf(part(8, 11)),
      windowOf(party.slice(0, 48_000)),
      // Falls back from the short input to the complete one.
      windowOf(part(3, 6), { language: undefined, promptText: 'My fellow Americans.', options: sampled, seed: 7 }),
    ];
    const alone: WhisperResult[] = [];
    for (const window of windows) alone.push(...(await decodeTogether(whisper(), [window])));
    expect(alone.every((result) => result.type === 'decode' && result.segments.length > 0)).to.equal(true);
    expect(alone.map((result) => result.type === 'decode' && result.temperature)).to.deep.equal([0, 0, 0, 0, 0.8]);
    expect(await decodeTogether(whisper(), [...windows].reverse())).to.deep.equal([...alone].reverse());
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
