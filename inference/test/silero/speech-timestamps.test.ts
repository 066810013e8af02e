import { expect } from 'chai';
import { type SpeechTimestamp, SpeechTimestamps, STEP_SAMPLES } from '../../src/models/silero/speech-timestamps.js';
import { VAD_OPTIONS, type VadOptions } from '../../src/models/speech/vad-options.js';
import { inRepository, readJsonFile } from '../support/paths.js';
import { getSpeechTimestamps } from '../support/silero.js';

const PAD = 6400;

/** Probabilities from runs of [steps, probability]. */
function steps(...runs: readonly (readonly [number, number])[]): Float32Array {
  return Float32Array.from(runs.flatMap(([count, probability]) => new Array<number>(count).fill(probability)));
}

describe('speech timestamps', () => {
  const of = (probabilities: Float32Array, change = {}) =>
    getSpeechTimestamps(probabilities, probabilities.length * STEP_SAMPLES, { ...VAD_OPTIONS, ...change });

  it('finds none in silence and in nothing', () => {
    expect(of(steps([200, 0.1]))).to.deep.equal([]);
    expect(of(new Float32Array(0))).to.deep.equal([]);
    expect(of(steps([200, 0.49]))).to.deep.equal([]);
  });

  it('pads speech by 400 ms at either side, but not beyond the audio', () => {
    const middle = of(steps([100, 0], [50, 0.9], [100, 0]));
    expect(middle).to.deep.equal([{ start: 100 * STEP_SAMPLES - PAD, end: 150 * STEP_SAMPLES + PAD }]);
    expect(of(steps([5, 0], [50, 0.9]))).to.deep.equal([{ start: 0, end: 55 * STEP_SAMPLES }]);
  });

  it('ends speech below 0.35, and not between that and 0.5', () => {
    expect(of(steps([50, 0.9], [100, 0.4]))).to.deep.equal([{ start: 0, end: 150 * STEP_SAMPLES }]);
    expect(of(steps([50, 0.9], [100, 0.3]))).to.deep.equal([{ start: 0, end: 50 * STEP_SAMPLES + PAD }]);
  });

  it('treats a silence of less than 2 s as part of the speech, also at the end', () => {
    expect(of(steps([50, 0.9], [60, 0], [50, 0.9], [30, 0]))).to.deep.equal([{ start: 0, end: 190 * STEP_SAMPLES }]);
    expect(of(steps([50, 0.9], [64, 0], [50, 0.9]))).to.deep.equal([
      { start: 0, end: 50 * STEP_SAMPLES + PAD },
      { start: 114 * STEP_SAMPLES - PAD, end: 164 * STEP_SAMPLES },
    ]);
  });

  it('leaves out speech that is too short, and joins ranges whose padding meets', () => {
    expect(of(steps([50, 0], [5, 0.9], [100, 0]), { minSpeechDurationMs: 200 })).to.deep.equal([]);
    const close = of(steps([50, 0.9], [20, 0], [50, 0.9]), { minSilenceDurationMs: 100 });
    expect(close).to.deep.equal([{ start: 0, end: 120 * STEP_SAMPLES }]);
  });

  it('buffers at most half a minute of undecided audio, and keeps it', () => {
    const probabilities = steps([50, 0.9], [1, 0.1], [5000, 0.4], [100, 0]);
    const length = probabilities.length * STEP_SAMPLES;
    const whole = [{ start: 0, end: 5051 * STEP_SAMPLES + PAD }];
    expect(of(probabilities)).to.deep.equal(whole);
    expectBitByBit(probabilities, length, {
      chunk: 64,
      thresholds: VAD_OPTIONS,
      whole,
      most: 32_000 + PAD + 30 * 16_000 + 64 * STEP_SAMPLES,
    });
  });

  it('gives the same ranges however the probabilities are split, and keeps nothing that it returned or dropped', () => {
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
    const whole = getSpeechTimestamps(probabilities, length);
    expect(whole.length).to.equal(3);
    for (const chunk of [1, 2, 7, 64, 1000]) {
      expectBitByBit(probabilities, length, { chunk, thresholds: VAD_OPTIONS, whole, most: 32_000 + PAD });
    }
  });
});

/** Gives the probabilities in chunks and keeps what comes: no sample twice, none that was said to be not needed, not more than `most` held. */
function expectBitByBit(
  probabilities: Float32Array,
  length: number,
  {
    chunk,
    thresholds,
    whole,
    most,
  }: { chunk: number; thresholds: VadOptions; whole: readonly SpeechTimestamp[]; most: number },
): void {
  const finder = new SpeechTimestamps(thresholds);
  const kept = new Uint8Array(length);
  let needed = 0;
  let held = 0;
  const faults = new Set<string>();
  const keep = (speechTimestamps: readonly SpeechTimestamp[]) => {
    for (const { start, end } of speechTimestamps) {
      if (start < needed) faults.add('not needed');
      if (kept.subarray(start, end).includes(1)) faults.add('twice');
      kept.fill(1, start, end);
    }
  };
  for (let at = 0; at < probabilities.length; at += chunk) {
    keep(finder.push(probabilities.subarray(at, at + chunk)));
    const known = Math.min(probabilities.length, at + chunk) * STEP_SAMPLES;
    needed = Math.min(finder.neededFrom, known);
    held = Math.max(held, known - needed);
  }
  keep(finder.finish(length));
  expect([...faults]).to.deep.equal([]);
  expect(held).to.be.at.most(most + 2 * STEP_SAMPLES);
  const expected = new Uint8Array(length);
  for (const { start, end } of whole) expected.fill(1, start, end);
  expect(Buffer.compare(kept, expected)).to.equal(0);
}

/** What faster-whisper 1.2.1 cut: bench/speech/timestamps.py wrote it. */
interface Cut {
  readonly settings: {
    readonly threshold?: number;
    readonly neg_threshold?: number;
    readonly min_speech_duration_ms?: number;
    readonly max_speech_duration_s?: number;
    readonly min_silence_duration_ms?: number;
    readonly speech_pad_ms?: number;
  };
  /** Steps and their probability, alternating. */
  readonly runs: readonly number[];
  readonly samples: number;
  /** Starts and ends, alternating. */
  readonly speechTimestamps: readonly number[];
}

const CUTS = readJsonFile<Cut[]>(inRepository('inference/test/silero/timestamps-golden.json'));

function thresholdsOf({ settings }: Cut): VadOptions {
  const threshold = settings.threshold ?? VAD_OPTIONS.threshold;
  return {
    threshold,
    negThreshold: settings.neg_threshold ?? Math.max(threshold - 0.15, 0.01),
    minSpeechDurationMs: settings.min_speech_duration_ms ?? VAD_OPTIONS.minSpeechDurationMs,
    maxSpeechDurationSeconds: settings.max_speech_duration_s ?? VAD_OPTIONS.maxSpeechDurationSeconds,
    minSilenceDurationMs: settings.min_silence_duration_ms ?? VAD_OPTIONS.minSilenceDurationMs,
    speechPadMs: settings.speech_pad_ms ?? VAD_OPTIONS.speechPadMs,
  };
}

function pairsOf(numbers: readonly number[]): [number, number][] {
  return Array.from({ length: numbers.length / 2 }, (_, at) => [numbers[2 * at] ?? 0, numbers[2 * at + 1] ?? 0]);
}

/** Adjacent ranges as one. */
function unitedOf(speechTimestamps: Cut['speechTimestamps']): SpeechTimestamp[] {
  const united: SpeechTimestamp[] = [];
  for (const [start, end] of pairsOf(speechTimestamps)) {
    const last = united.at(-1);
    if (last?.end === start) united[united.length - 1] = { start: last.start, end };
    else united.push({ start, end });
  }
  return united;
}

describe('speech timestamps against faster-whisper', () => {
  const namesOf = CUTS.map(({ settings }) => JSON.stringify(settings));
  for (const settings of new Set(namesOf)) {
    const cuts = CUTS.filter((_, index) => namesOf[index] === settings);
    it(`are the same, whole and bit by bit, and no more is held than may be cut: ${settings}`, () => {
      for (const cut of cuts) {
        const thresholds = thresholdsOf(cut);
        const probabilities = steps(...pairsOf(cut.runs));
        const whole = getSpeechTimestamps(probabilities, cut.samples, thresholds);
        expect(whole).to.deep.equal(unitedOf(cut.speechTimestamps));
        const {
          maxSpeechDurationSeconds: longest,
          speechPadMs,
          minSilenceDurationMs,
          minSpeechDurationMs,
        } = thresholds;
        // A speech may be too short to be given out and be followed by a silence too short to end it.
        // And up to 126 steps here are neither speech nor silence.
        const silence = 16 * (speechPadMs + minSilenceDurationMs + minSpeechDurationMs) + 126 * STEP_SAMPLES;
        const most = Number.isFinite(longest) ? Math.max(longest * 16_000, silence) : silence;
        for (const chunk of [1, 64, 10_000]) {
          expectBitByBit(probabilities, cut.samples, { chunk, thresholds, whole, most });
        }
      }
    });
  }

  it('are cut if too long: the cases include some', () => {
    const longest = CUTS.filter(({ settings }) => settings.max_speech_duration_s !== undefined);
    const uncut = longest.filter((cut) => {
      const thresholds = { ...thresholdsOf(cut), maxSpeechDurationSeconds: Number.POSITIVE_INFINITY };
      const whole = getSpeechTimestamps(steps(...pairsOf(cut.runs)), cut.samples, thresholds);
      return JSON.stringify(whole) === JSON.stringify(unitedOf(cut.speechTimestamps));
    });
    expect(uncut.length).to.be.below(longest.length / 2);
  });
});
