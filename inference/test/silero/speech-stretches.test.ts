import { expect } from 'chai';
import {
  SpeechStretches,
  STEP_SAMPLES,
  speechStretches,
  VOICE_THRESHOLDS,
} from '../../src/models/silero/speech-stretches.js';

const PAD = 6400;

/** Probabilities from runs of [steps, probability]. */
function steps(...runs: readonly (readonly [number, number])[]): Float32Array {
  return Float32Array.from(runs.flatMap(([count, probability]) => new Array<number>(count).fill(probability)));
}

describe('speech stretches', () => {
  const of = (probabilities: Float32Array, change = {}) =>
    speechStretches(probabilities, probabilities.length * STEP_SAMPLES, { ...VOICE_THRESHOLDS, ...change });

  it('finds none in silence and in nothing', () => {
    expect(of(steps([200, 0.1]))).to.deep.equal([]);
    expect(of(new Float32Array(0))).to.deep.equal([]);
    expect(of(steps([200, 0.49]))).to.deep.equal([]);
  });

  it('pads speech by 400 ms at either side, but not beyond the recording', () => {
    const middle = of(steps([100, 0], [50, 0.9], [100, 0]));
    expect(middle).to.deep.equal([{ start: 100 * STEP_SAMPLES - PAD, end: 150 * STEP_SAMPLES + PAD }]);
    expect(of(steps([5, 0], [50, 0.9]))).to.deep.equal([{ start: 0, end: 55 * STEP_SAMPLES }]);
  });

  it('ends speech below 0.35, and not between that and 0.5', () => {
    expect(of(steps([50, 0.9], [100, 0.4]))).to.deep.equal([{ start: 0, end: 150 * STEP_SAMPLES }]);
    expect(of(steps([50, 0.9], [100, 0.3]))).to.deep.equal([{ start: 0, end: 50 * STEP_SAMPLES + PAD }]);
  });

  it('takes a silence of less than 2 s for a part of the speech, also at the end', () => {
    expect(of(steps([50, 0.9], [60, 0], [50, 0.9], [30, 0]))).to.deep.equal([{ start: 0, end: 190 * STEP_SAMPLES }]);
    expect(of(steps([50, 0.9], [64, 0], [50, 0.9]))).to.deep.equal([
      { start: 0, end: 50 * STEP_SAMPLES + PAD },
      { start: 114 * STEP_SAMPLES - PAD, end: 164 * STEP_SAMPLES },
    ]);
  });

  it('leaves out speech that is too short, and joins stretches whose padding meets', () => {
    expect(of(steps([50, 0], [5, 0.9], [100, 0]), { minSpeechDurationMs: 200 })).to.deep.equal([]);
    const close = of(steps([50, 0.9], [20, 0], [50, 0.9]), { minSilenceDurationMs: 100 });
    expect(close).to.deep.equal([{ start: 0, end: 120 * STEP_SAMPLES }]);
  });

  it('gives the same stretches however the probabilities come, and needs nothing of what it gave out or left out', () => {
    const probabilities = steps(
      [30, 0],
      [40, 0.9],
      [70, 0.1],
      [3, 0.6],
      [20, 0.2],
      [9, 0.7],
      [200, 0],
      [8, 0.8],
      [5, 0],
    );
    const length = probabilities.length * STEP_SAMPLES - 100;
    const whole = speechStretches(probabilities, length);
    expect(whole.length).to.equal(3);
    for (const piece of [1, 2, 7, 64, 1000]) {
      const finder = new SpeechStretches();
      const kept = new Uint8Array(length);
      let needed = 0;
      const keep = (stretches: readonly { start: number; end: number }[]) => {
        for (const { start, end } of stretches) {
          expect(start).to.be.at.least(needed);
          expect(kept.subarray(start, end).every((value) => value === 0)).to.equal(true);
          kept.fill(1, start, end);
        }
      };
      for (let at = 0; at < probabilities.length; at += piece) {
        keep(finder.push(probabilities.subarray(at, at + piece)));
        const known = Math.min(probabilities.length, at + piece) * STEP_SAMPLES;
        needed = Math.min(finder.neededFrom, known);
        expect(known - needed).to.be.at.most(32_000 + PAD + STEP_SAMPLES);
      }
      keep(finder.finish(length));
      const expected = new Uint8Array(length);
      for (const { start, end } of whole) expected.fill(1, start, end);
      expect(Buffer.compare(kept, expected)).to.equal(0);
    }
  });
});
