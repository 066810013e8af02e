interface Filter {
  /** Half its width, in source pixels at scale 1. */
  readonly support: number;
  weight(x: number): number;
}

/** Pillow's filters. */
const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: { support: 1, weight: (x) => (Math.abs(x) < 1 ? sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0) },
  bicubic: { support: 2, weight: keys },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
} satisfies Record<string, Filter>;
export type ResampleFilter = keyof typeof FILTERS;

/** Keys, "Cubic convolution interpolation for digital image processing" (1981), with a = -0.5. */
function keys(x: number): number {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * a;
  return 0;
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Fraction bits of the integer weights: 8 bits of colour, 2 of headroom, 22 of weight. */
const PRECISION_BITS = 22;

/** Per pixel of a resized line: source offset, number of source pixels, and their weights. */
export interface Taps {
  readonly starts: Int32Array;
  readonly counts: Int32Array;
  /** `stride` weights per pixel. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** Where an image begins and how long it is, in the pixels of a line; fractions, and it may reach beyond the line. Pillow's `box`. */
export interface Extent {
  readonly start: number;
  readonly length: number;
}

export function tapsFor(from: number, to: number, name: ResampleFilter, extent: Extent): Taps {
  const filter = FILTERS[name];
  const scale = extent.length / to;
  const filterScale = Math.max(1, scale);
  const support = filter.support * filterScale;
  const stride = Math.ceil(support) * 2 + 1;
  const taps = {
    starts: new Int32Array(to),
    counts: new Int32Array(to),
    weights: new Int32Array(to * stride),
    stride,
  };
  const line = new Float64Array(stride);
  for (let index = 0; index < to; index += 1) {
    const centre = extent.start + (index + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(from, Math.trunc(centre + support + 0.5)) - start;
    let sum = 0;
    for (let tap = 0; tap < count; tap += 1) {
      const weight = filter.weight((start + tap - centre + 0.5) / filterScale);
      line[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < count; tap += 1) {
      const share = (sum === 0 ? (line[tap] ?? 0) : (line[tap] ?? 0) / sum) * (1 << PRECISION_BITS);
      taps.weights[index * stride + tap] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
    taps.starts[index] = start;
    taps.counts[index] = count;
  }
  return taps;
}
