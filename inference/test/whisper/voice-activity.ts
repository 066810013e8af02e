import { expect } from 'chai';
import { GAP_SECONDS, partsOf, SAID, withGap } from '../silero/gap.js';
import { plainWords, textOf } from '../support/speech.js';
import { transcribeWith, type WhisperModel } from '../support/whisper.js';

/** The tests of voice activity before Whisper base. */
export function testVoiceActivity(whisper: () => WhisperModel): void {
  it('leaves out a gap of ten seconds, and segments and words have the times of the audio', async () => {
    const { samples, firstSeconds } = await withGap();
    const events = await transcribeWith(whisper(), samples, { vadFilter: true, timestamps: 'word' });
    expect(plainWords(textOf(events))).to.equal(SAID);
    const { segments, summary } = partsOf(events);
    const words = segments.flatMap((segment) => segment.words);
    const every = words.find((word) => plainWords(word.text) === 'every');
    const seen = words.find((word) => plainWords(word.text) === 'seen');
    expect(seen?.endSeconds).to.be.at.most(firstSeconds + 0.5);
    expect(every?.startSeconds).to.be.within(firstSeconds + GAP_SECONDS - 0.5, firstSeconds + GAP_SECONDS + 0.7);
    expect(summary.durationSeconds).to.equal(samples.length / 16_000);
    expect(summary.speechSeconds).to.be.below(samples.length / 16_000 - GAP_SECONDS + 1);
  });

  it('finds nothing in silence', async () => {
    const { segments, summary } = partsOf(
      await transcribeWith(whisper(), new Float32Array(160_000), { vadFilter: true }),
    );
    expect(segments).to.deep.equal([]);
    expect(summary).to.include({ durationSeconds: 10, speechSeconds: 0, languageProbability: 0 });
  });
}
