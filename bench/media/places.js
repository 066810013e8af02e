// Finds where the speech of one audio lies in another.

export const RATE = 16_000;
/** Pieces that are looked for, and how far around their place. */
const PIECE = RATE / 2;
const AROUND = 3 * RATE;
/** Quieter pieces (-40 dBFS) are not looked for. */
const QUIET = 1e-4;
/** Least correlation of a piece that is found. */
const FOUND = 0.6;
/** Correlation of a piece that needs no search. */
const SURE = 0.9;
/** Places closer than this are one. */
const SAME_SECONDS = 0.004;

/**
 * Looks for each half second of `first` in `second`. `off`: how many seconds later the pieces lie there, in their order, each
 * offset once per run; `worst`: the largest; `lost`: seconds of speech that are not there.
 */
export function placesOf(first, second) {
  const off = [];
  let lost = 0;
  let worst = 0;
  for (let at = 0; at + PIECE <= first.length; at += PIECE) {
    const piece = first.subarray(at, at + PIECE);
    if (power(piece) < QUIET) continue;
    const before = at + Math.round(RATE * (off.at(-1) ?? 0));
    const place = isThere(piece, second, before) ? before : placeOf(piece, second, at);
    if (place === undefined) {
      lost += PIECE / RATE;
      continue;
    }
    const seconds = (place - at) / RATE;
    worst = Math.max(worst, Math.abs(seconds));
    if (off.length === 0 || Math.abs(off.at(-1) - seconds) > SAME_SECONDS) off.push(seconds);
  }
  return { off, worst, lost };
}

const power = (samples) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

/** Whether a piece lies where the one before it lets expect. */
function isThere(piece, samples, place) {
  const there = samples.subarray(Math.max(0, place), place + piece.length);
  if (place < 0 || there.length < piece.length) return false;
  let [product, one, other] = [0, 0, 0];
  for (let index = 0; index < piece.length; index += 1) {
    product += piece[index] * there[index];
    one += piece[index] ** 2;
    other += there[index] ** 2;
  }
  return product > SURE * Math.sqrt(one * other);
}

/** The sample of `samples` at which a piece correlates most, around `at`; undefined if nowhere enough. */
function placeOf(piece, samples, at) {
  const from = Math.max(0, at - AROUND);
  const around = samples.subarray(from, at + AROUND + piece.length);
  if (around.length < piece.length) return undefined;
  const products = correlations(around, piece);
  const needed = Math.sqrt(piece.reduce((sum, sample) => sum + sample * sample, 0));
  let energy = around.subarray(0, piece.length).reduce((sum, sample) => sum + sample * sample, 0);
  let best = 0;
  let place;
  for (let shift = 0; shift + piece.length <= around.length; shift += 1) {
    const value = products[shift] / (needed * Math.sqrt(Math.max(energy, 1e-9)));
    if (value > best) {
      best = value;
      place = from + shift;
    }
    energy += (around[shift + piece.length] ?? 0) ** 2 - around[shift] ** 2;
  }
  return best >= FOUND ? place : undefined;
}

/** Products of a piece with the samples from each on, by FFT. */
function correlations(samples, piece) {
  const size = 2 ** Math.ceil(Math.log2(samples.length + piece.length));
  // One complex transform of both: the samples are its real, the piece its imaginary part.
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  re.set(samples);
  im.set(piece);
  transform(re, im, false);
  const outRe = new Float64Array(size);
  const outIm = new Float64Array(size);
  for (let k = 0; k < size; k += 1) {
    const m = (size - k) & (size - 1);
    const [aRe, aIm] = [(re[k] + re[m]) / 2, (im[k] - im[m]) / 2];
    const [bRe, bIm] = [(im[k] + im[m]) / 2, (re[m] - re[k]) / 2];
    outRe[k] = aRe * bRe + aIm * bIm;
    outIm[k] = aIm * bRe - aRe * bIm;
  }
  transform(outRe, outIm, true);
  return outRe.map((value) => value / size);
}

function transform(re, im, inverse) {
  const size = re.length;
  for (let i = 1, j = 0; i < size; i += 1) {
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2;
    const angle = ((inverse ? 2 : -2) * Math.PI) / length;
    const cos = Float64Array.from({ length: half }, (_, k) => Math.cos(angle * k));
    const sin = Float64Array.from({ length: half }, (_, k) => Math.sin(angle * k));
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < half; k += 1) {
        const [a, b] = [start + k, start + k + half];
        const vRe = re[b] * cos[k] - im[b] * sin[k];
        const vIm = re[b] * sin[k] + im[b] * cos[k];
        re[b] = re[a] - vRe;
        im[b] = im[a] - vIm;
        re[a] += vRe;
        im[a] += vIm;
      }
    }
  }
}
