/** Functions on a row of logits. They do not allocate: each runs once per token over 50,000 numbers. */
import { growTo, instantiateWasm, newWasmMemory } from '../../wasm.js';
import { SCORES_WASM } from './scores-wasm.js';

/** Values further than this below the maximum add less than 1e-4 to a sum over any vocabulary. */
const NEGLIGIBLE = 22;

/** A vector of the loops holds four numbers. */
const VECTOR = 4;
const NUMBER_BYTES = 4;

/** The loops of scores.wat over the numbers before byte `end`. */
interface Loops {
  highest(end: number): number;
  /** Sum of 2 ^ (scale * (number - highest)). */
  sumOfPowers(end: number, highest: number, scale: number): number;
}

/** The loops with their memory, into which each call copies its numbers: a tenth of the time it saves. */
class ScoreLoops {
  readonly #memory = newWasmMemory();
  readonly #loops = instantiateWasm(Uint8Array.from(Buffer.from(SCORES_WASM, 'base64')), this.#memory) as Loops;

  highest(logits: Float32Array): number {
    return this.#loops.highest(this.#copy(logits));
  }

  /** log(sum(exp((logits - highest) / temperature))) for their maximum `highest`. */
  logSum(logits: Float32Array, highest: number, temperature: number): number {
    return Math.log(this.#loops.sumOfPowers(this.#copy(logits), highest, Math.LOG2E / temperature));
  }

  /** Returns the end, in bytes. The last vector is filled with what changes no result. */
  #copy(logits: Float32Array): number {
    const length = Math.ceil(logits.length / VECTOR) * VECTOR;
    growTo(this.#memory, length * NUMBER_BYTES);
    const numbers = new Float32Array(this.#memory.buffer, 0, length);
    numbers.set(logits);
    numbers.fill(Number.NEGATIVE_INFINITY, logits.length);
    return length * NUMBER_BYTES;
  }
}

/** Opened with the first use. */
let opened: ScoreLoops | undefined;

function loops(): ScoreLoops {
  opened ??= new ScoreLoops();
  return opened;
}

/** Index of the maximum in [from, to); the first of equals. -1 when all are -Infinity. */
export function indexOfHighest(logits: Float32Array, from = 0, to = logits.length): number {
  const part = logits.subarray(from, to);
  if (part.length === 0) return -1;
  const highest = loops().highest(part);
  return highest === Number.NEGATIVE_INFINITY ? -1 : from + part.indexOf(highest);
}

/** Index of the maximum other than `best`; the first of equals. -1 when none is above -Infinity. */
export function indexOfRival(logits: Float32Array, best: number): number {
  const score = logits[best] as number;
  logits[best] = Number.NEGATIVE_INFINITY;
  const rival = indexOfHighest(logits);
  logits[best] = score;
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

/** Returns log(sum(exp(logits / temperature))) over [from, to), to ten digits; -Infinity when all are -Infinity. */
export function logSumExp(logits: Float32Array, from = 0, to = logits.length, temperature = 1): number {
  const part = logits.subarray(from, to);
  const highest = part.length === 0 ? Number.NEGATIVE_INFINITY : loops().highest(part);
  if (highest === Number.NEGATIVE_INFINITY) return highest;
  return highest / temperature + loops().logSum(part, highest, temperature);
}

/** At lower temperatures the sum has no digits left for the differences between logits: only the maximum has a probability. */
const MIN_TEMPERATURE = 1e-6;

/** Samples an index by probability at a temperature above 0. `random` returns [0, 1). */
export function sampleIndex(logits: Float32Array, temperature: number, random: () => number): number {
  if (temperature < MIN_TEMPERATURE) return indexOfHighest(logits);
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
