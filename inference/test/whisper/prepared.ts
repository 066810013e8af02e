import { expectSamePrepared } from '../optimized/forms.js';
import { inRepository, inShared, OPTIONS } from '../support/paths.js';
import { SPEECH_OPTIONS, samplesOf, windowOf } from '../support/speech.js';
import { WHISPER_BASE, type WhisperModel } from '../support/whisper.js';

/** The test of Whisper base in the form that `prepare` saves. */
export function testPrepared(whisper: () => WhisperModel): void {
  it('has the same text and probabilities', async function () {
    // prepare chooses the form of the weights by the CPU.
    if (OPTIONS.weights !== undefined) this.skip();
    const samples = (await samplesOf(inRepository('demo/samples/speech/search.flac'))).slice(0, 3 * 16_000);
    const window = windowOf(samples, { options: { ...SPEECH_OPTIONS, temperatures: [0] } });
    await expectSamePrepared('onnx-community/whisper-base_timestamped', inShared(WHISPER_BASE), whisper(), window);
  });
}
