import { WhisperFeatureExtractor } from '@huggingface/transformers';
import { expect } from 'chai';
import { MelExtractor } from '../../src/models/whisper/mel.js';
import { melFilters } from '../../src/models/whisper/mel-filters.js';
import { inRepository } from '../support/paths.js';
import { samplesOf } from '../support/speech.js';

function reference(melCount: number, seconds = 30) {
  return new WhisperFeatureExtractor({
    feature_size: melCount,
    sampling_rate: 16_000,
    hop_length: 160,
    chunk_length: seconds,
    n_fft: 400,
    n_samples: seconds * 16_000,
    nb_max_frames: seconds * 100,
    padding_value: 0,
  });
}

function largestDifference(one: ArrayLike<number>, other: ArrayLike<number>): number {
  let largest = one.length === other.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < one.length; i++) largest = Math.max(largest, Math.abs((one[i] ?? 0) - (other[i] ?? 0)));
  return largest;
}

describe('the log-mel spectrogram', () => {
  for (const melCount of [80, 128]) {
    it(`has the reference's filters for ${melCount} bands`, () => {
      const { mel_filters: theirs } = reference(melCount).config as { mel_filters: number[][] };
      const ours = melFilters(melCount, 400, 16_000);
      const flat = ours.flatMap((row) => [...row]);
      const byBand =
        theirs.length === melCount ? theirs.flat() : ours.flatMap((_, band) => theirs.map((row) => row[band] ?? 0));
      expect(largestDifference(flat, byBand)).to.be.below(1e-7);
    });
  }

  it("equals the reference's to 1e-4: speech, a chirp to the last sample, a tone, silence, one sample", async () => {
    const ours = await MelExtractor.open(80);
    try {
      const inputs = {
        speech: await samplesOf(inRepository('demo/samples/speech/search.flac')),
        chirp: Float32Array.from({ length: 480_000 }, (_, i) => 0.3 * Math.sin(i / 20 + i * i * 1e-8)),
        'nearly 30 s': Float32Array.from({ length: 479_900 }, (_, i) => 0.3 * Math.sin(i / 3)),
        tone: Float32Array.from({ length: 20_000 }, (_, i) => Math.sin(i / 7)),
        silence: new Float32Array(1000),
        'one sample': Float32Array.of(1),
      };
      for (const [what, samples] of Object.entries(inputs)) {
        // The reference needs half a second for 30 s; the padding of the short ones is that of the speech.
        const seconds = samples.length > 32_000 ? 30 : 2;
        const theirs = (await reference(80, seconds)(samples)).input_features.data as Float32Array;
        expect(largestDifference(await ours.extract(samples, seconds * 100), theirs), what).to.be.below(1e-4);
      }
    } finally {
      await ours.close();
    }
  });

  it('computes only the requested frames', async () => {
    const mel = await MelExtractor.open(80);
    try {
      const samples = Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i / 9) * Math.sin(i / 4000));
      const whole = await mel.extract(samples);
      const short = await mel.extract(samples, 1000);
      expect(short.length).to.equal(80 * 1000);
      for (const band of [0, 17, 79]) {
        expect(short.slice(band * 1000, (band + 1) * 1000)).to.deep.equal(whole.slice(band * 3000, band * 3000 + 1000));
      }
    } finally {
      await mel.close();
    }
  });

  it('pads with zeros after the sound, if requested', async () => {
    const mel = await MelExtractor.open(80);
    try {
      const samples = Float32Array.from({ length: 40_000 }, (_, i) => Math.sin(i / 9));
      const [silence, zeros] = [await mel.extract(samples), await mel.extract(samples, 3000, 'zeros')];
      for (const band of [0, 79]) {
        const at = band * 3000;
        expect(zeros.slice(at, at + 250)).to.deep.equal(silence.slice(at, at + 250));
        expect(zeros.slice(at + 250, at + 3000).every((value) => value === 0)).to.equal(true);
      }
    } finally {
      await mel.close();
    }
  });
});
