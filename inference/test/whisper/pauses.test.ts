import { expect } from 'chai';
import { cutInPause, endOfSpeech, leadingSilence } from '../../src/models/whisper/pauses.js';

const RATE = 16_000;

const WARBLE = Float64Array.from({ length: 30 * RATE }, (_, i) => 0.2 * Math.sin(i / 7) * (1.2 + Math.sin(i / 900)));
let state = 1;
const NOISE = WARBLE.map(() => {
  state = (state * 48_271) % 2_147_483_647;
  return state / 1_073_741_823 - 1;
});

/** 30 s of a warble as loud as speech, over noise, quiet in the given ranges of seconds. */
function speechWithPauses(pauses: readonly (readonly [number, number])[], noise = 0.001): Float32Array {
  const samples = new Float32Array(WARBLE);
  for (const [from, to] of pauses) samples.fill(0, from * RATE, to * RATE);
  for (let i = 0; i < samples.length; i += 1) samples[i] = (samples[i] ?? 0) + noise * (NOISE[i] ?? 0);
  return samples;
}

const cutSeconds = (samples: Float32Array) => (cutInPause(samples) ?? Number.NaN) / RATE;

describe('cutting an audio file', () => {
  it('cuts in the middle of the longest pause of the last six seconds', () => {
    expect(
      cutSeconds(
        speechWithPauses([
          [12, 14],
          [25, 26],
          [28, 28.4],
        ]),
      ),
    ).to.be.closeTo(25.5, 0.03);
    // It may last to the end.
    const two = [
      [25, 26],
      [28.5, 30],
    ] as const;
    expect(cutSeconds(speechWithPauses(two))).to.be.closeTo(29.25, 0.03);
  });

  it('uses the last pause before them if they have none', () => {
    expect(
      cutSeconds(
        speechWithPauses([
          [12, 14],
          [20, 20.5],
        ]),
      ),
    ).to.be.closeTo(20.25, 0.03);
  });

  it('takes 300 ms for a pause, and the first of two that are as long', () => {
    expect(cutSeconds(speechWithPauses([[27, 27.3]]))).to.be.closeTo(27.15, 0.01);
    const two = [
      [25, 26],
      [28, 29],
    ] as const;
    expect(cutSeconds(speechWithPauses(two))).to.be.closeTo(25.5, 0.01);
  });

  it('finds pauses in noise', () => {
    expect(cutSeconds(speechWithPauses([[26, 27]], 0.05))).to.be.closeTo(26.5, 0.03);
  });

  it('takes no quiet words for a pause', () => {
    const samples = speechWithPauses([[12, 14]]);
    for (let i = 26 * RATE; i < 27 * RATE; i += 1) samples[i] = 0.1 * (samples[i] ?? 0);
    expect(cutSeconds(samples)).to.be.closeTo(13, 0.03);
  });

  it('leaves alone what has no pause but a short or an early one', () => {
    expect(
      cutInPause(
        speechWithPauses([
          [5, 7],
          [27, 27.2],
        ]),
      ),
    ).to.equal(undefined);
    expect(cutInPause(speechWithPauses([]))).to.equal(undefined);
  });

  it('finds the end of the last sound', () => {
    expect(
      endOfSpeech(
        speechWithPauses([
          [12, 14],
          [22, 30],
        ]),
      ) / RATE,
    ).to.be.closeTo(22, 0.03);
    expect(endOfSpeech(new Float32Array(RATE))).to.equal(0);
  });

  for (const [name, noise] of [
    ['digital silence', 0],
    ['steady noise', 0.01],
  ] as const) {
    it(`skips ${name} before the first sound but for half a second`, () => {
      expect(leadingSilence(speechWithPauses([[0, 13.6]], noise)) / RATE).to.be.closeTo(13.1, 0.11);
      expect(leadingSilence(speechWithPauses([[0, 13.6]], noise), 0) / RATE).to.be.closeTo(13.6, 0.11);
      expect(leadingSilence(speechWithPauses([[0, 1.4]], noise))).to.equal(0);
      expect(leadingSilence(speechWithPauses([[0, 1.5]], noise))).to.equal(RATE);
      expect(leadingSilence(speechWithPauses([[5, 15]], noise))).to.equal(0);
    });
  }

  it('skips no quiet speaker before a loud one, only the silence before both', () => {
    const samples = speechWithPauses([[0, 13]], 0);
    const quiet = speechWithPauses([[0, 5]], 0).subarray(0, 13 * RATE);
    samples.set(quiet.map((sample, i) => (i % RATE < 0.4 * RATE ? 0 : 0.01 * sample)));
    expect(leadingSilence(samples) / RATE).to.be.closeTo(4.9, 0.11);
  });

  it('skips nothing of a window without any sound', () => {
    expect(leadingSilence(new Float32Array(30 * RATE))).to.equal(0);
  });
});
