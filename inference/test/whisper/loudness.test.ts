import { expect } from 'chai';
import { holdsNothing, isSteady, loudnessRangeDb } from '../../src/models/whisper/loudness.js';
import { inRepository } from '../support/paths.js';
import { samplesOf } from '../support/speech.js';
import { whiteNoise } from '../support/whisper.js';

const silence = new Float32Array(16_000);

describe('loudness', () => {
  it('detects a whisper at -70 dB, and nothing below the noise of 16-bit audio', () => {
    expect(holdsNothing(silence)).to.equal(true);
    expect(holdsNothing(new Float32Array(16_000).fill(1 / 32_768))).to.equal(true);
    expect(holdsNothing(Float32Array.of(0, 0, 3e-4))).to.equal(false);
  });

  it('knows noise and hums by their steadiness, loud or faint, and speech in noise as speech', async () => {
    const hum = Float32Array.from({ length: 32_000 }, (_, i) => 0.3 * Math.sin(i / 30));
    expect(holdsNothing(hum)).to.equal(true);
    expect(holdsNothing(whiteNoise(2, 0.2))).to.equal(true);
    const speech = await samplesOf(inRepository('demo/samples/speech/party.flac'));
    const power = speech.reduce((sum, sample) => sum + sample ** 2, 0) / speech.length;
    const noise = whiteNoise(speech.length / 16_000, Math.sqrt(power / 10));
    const noisy = speech.map((sample, i) => sample + (noise[i] ?? 0));
    expect(isSteady(noisy)).to.equal(false);
    expect(loudnessRangeDb(speech)).to.be.above(loudnessRangeDb(noisy) + 5);
  });

  it('does not miss a word in half a minute of silence or of noise', async () => {
    const speech = await samplesOf(inRepository('demo/samples/speech/party.flac'));
    const word = speech.subarray(8000, 16_000);
    for (const around of [new Float32Array(480_000), whiteNoise(30, 0.002)]) {
      around.set(word, 200_000);
      expect([holdsNothing(around), isSteady(around)]).to.deep.equal([false, false]);
    }
  });

  it('does not judge less than half a second', () => {
    expect(isSteady(whiteNoise(0.4, 0.1))).to.equal(false);
  });
});
