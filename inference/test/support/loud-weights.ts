/** Deterministic pseudorandom integers from 0 to below `limit`. */
export function* numbers(seed: number, limit: number): Generator<number, never, void> {
  let state = seed;
  for (;;) {
    state = (state * 48_271) % 2_147_483_647;
    yield Math.floor((state / 2_147_483_647) * limit);
  }
}

/** Worst-case pairs of rows: both large, with equal signs. */
export function loudWeights(inputs: number, outputs: number, seed: number): Int8Array {
  const next = numbers(seed, 128);
  const weights = new Int8Array(inputs * outputs);
  for (let row = 0; row < inputs; row += 2) {
    for (let output = 0; output < outputs; output++) {
      const sign = next.next().value < 64 ? -1 : 1;
      for (const at of [row, row + 1]) {
        if (at < inputs) weights[at * outputs + output] = sign * Math.max(next.next().value, next.next().value);
      }
    }
  }
  return weights;
}
