import { SPEECH_SAMPLE_RATE_HZ } from '../../media/audio/pcm.js';
import { newModel, node, tensor, writeModel } from '../../onnx/index.js';
import { melFilters } from './mel-filters.js';

/** Samples per frame, 25 ms. */
export const FRAME_SAMPLES = 400;
/** Samples between frames, 10 ms. */
export const HOP_SAMPLES = 160;

const HALF = FRAME_SAMPLES / 2;
/** Values per folded frame: even and odd samples of each symmetry. */
export const FOLD_SIZE = HALF / 2;
const LOWER_BINS = HALF / 2 + 1;
const POWER_FLOOR = 1e-10;

/**
 * Builds the graph from folded frames (`foldFrame`) to log10 mel energies: four inputs [frames, 100], output `mel`
 * [melCount, frames]. A Fourier transform of 400 real samples as matrix products, reduced fourfold by two symmetries:
 * at sample 400 - n a cosine is equal and a sine negated; at bin 200 - k both equal those of bin k with the sign of
 * every odd sample changed.
 */
export function melGraph(melCount: number): Uint8Array {
  const basis = (wave: (angle: number) => number, odd: boolean) => {
    const values = new Float32Array(FOLD_SIZE * LOWER_BINS);
    for (let row = 0; row < FOLD_SIZE; row++) {
      const n = odd ? 2 * row + 1 : 2 * row + 2;
      for (let k = 0; k < LOWER_BINS; k++) {
        values[row * LOWER_BINS + k] = wave((2 * Math.PI * ((k * n) % FRAME_SAMPLES)) / FRAME_SAMPLES);
      }
    }
    return values;
  };
  const filters = melFilters(melCount, FRAME_SAMPLES, SPEECH_SAMPLE_RATE_HZ);
  /** Rows are bins, columns are bands; the middle bin counts once. */
  const bank = (bin: (k: number) => number | undefined) => {
    const values = new Float32Array(LOWER_BINS * melCount);
    for (let k = 0; k < LOWER_BINS; k++) {
      const at = bin(k);
      if (at === undefined) continue;
      for (let band = 0; band < melCount; band++) values[k * melCount + band] = filters[band]?.[at] ?? 0;
    }
    return values;
  };
  const square = [FOLD_SIZE, LOWER_BINS];
  const sumOfSquares = (re: string, im: string, out: string) => [
    node('Mul', [re, re], [`${re}_squared`]),
    node('Mul', [im, im], [`${im}_squared`]),
    node('Add', [`${re}_squared`, `${im}_squared`], [out]),
  ];
  return writeModel(
    newModel({
      name: 'log-mel',
      initializers: [
        tensor('cos_even', square, basis(Math.cos, false)),
        tensor('cos_odd', square, basis(Math.cos, true)),
        tensor('sin_even', square, basis(Math.sin, false)),
        tensor('sin_odd', square, basis(Math.sin, true)),
        tensor(
          'lower_bank',
          [LOWER_BINS, melCount],
          bank((k) => k),
        ),
        tensor(
          'upper_bank',
          [LOWER_BINS, melCount],
          bank((k) => (k === HALF / 2 ? undefined : HALF - k)),
        ),
        tensor('floor', [1], Float32Array.of(POWER_FLOOR)),
        tensor('to_decades', [1], Float32Array.of(Math.LOG10E)),
      ],
      nodes: [
        node('MatMul', ['same_even', 'cos_even'], ['re_even']),
        node('MatMul', ['same_odd', 'cos_odd'], ['re_odd']),
        node('MatMul', ['opposite_even', 'sin_even'], ['im_even']),
        node('MatMul', ['opposite_odd', 'sin_odd'], ['im_odd']),
        node('Add', ['re_even', 're_odd'], ['re_lower']),
        node('Sub', ['re_even', 're_odd'], ['re_upper']),
        node('Add', ['im_even', 'im_odd'], ['im_lower']),
        node('Sub', ['im_even', 'im_odd'], ['im_upper']),
        ...sumOfSquares('re_lower', 'im_lower', 'power_lower'),
        ...sumOfSquares('re_upper', 'im_upper', 'power_upper'),
        node('MatMul', ['power_lower', 'lower_bank'], ['mel_lower']),
        node('MatMul', ['power_upper', 'upper_bank'], ['mel_upper']),
        node('Add', ['mel_lower', 'mel_upper'], ['mel_power']),
        node('Max', ['mel_power', 'floor'], ['mel_floored']),
        node('Log', ['mel_floored'], ['mel_log']),
        node('Mul', ['mel_log', 'to_decades'], ['mel_decades']),
        node('Transpose', ['mel_decades'], ['mel'], { perm: [1, 0] }),
      ],
      inputs: FOLD_NAMES.map((name) => ({ name, elementType: 'float32', dims: ['frames', FOLD_SIZE] })),
      outputs: [{ name: 'mel', elementType: 'float32', dims: [melCount, 'frames'] }],
    }),
  );
}

/** The graph's inputs, in the order of `Fold`. */
export const FOLD_NAMES = ['same_even', 'same_odd', 'opposite_even', 'opposite_odd'] as const;
export type Fold = Readonly<Record<(typeof FOLD_NAMES)[number], Float32Array>>;

/** The reference's window function: periodic Hann. */
export function hannWindow(): Float64Array {
  return Float64Array.from(
    { length: FRAME_SAMPLES },
    (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / FRAME_SAMPLES),
  );
}

/** Applies the window to `frameCount` frames of `samples`, one per hop from sample 0, and folds each at its middle. */
export function foldFrames(samples: Float32Array, frameCount: number, window: Float64Array): Fold {
  const size = frameCount * FOLD_SIZE;
  const fold = {
    same_even: new Float32Array(size),
    same_odd: new Float32Array(size),
    opposite_even: new Float32Array(size),
    opposite_odd: new Float32Array(size),
  };
  const half = Float64Array.from(window.subarray(0, HALF + 1));
  for (let frame = 0; frame < frameCount; frame++) {
    const start = frame * HOP_SAMPLES;
    const out = frame * FOLD_SIZE;
    for (let row = 0; row < FOLD_SIZE; row++) {
      const odd = 2 * row + 1;
      let left = samples[start + odd] ?? 0;
      let right = samples[start + FRAME_SAMPLES - odd] ?? 0;
      let weight = half[odd] ?? 0;
      fold.same_odd[out + row] = weight * (left + right);
      fold.opposite_odd[out + row] = weight * (left - right);
      const even = odd + 1;
      left = samples[start + even] ?? 0;
      // The middle sample mirrors itself and counts once.
      right = even === HALF ? 0 : (samples[start + FRAME_SAMPLES - even] ?? 0);
      weight = half[even] ?? 0;
      fold.same_even[out + row] = weight * (left + right);
      fold.opposite_even[out + row] = weight * (left - right);
    }
  }
  return fold;
}
