/** How a channel was predicted, as its packet says. */
export interface AlacPredictor {
  /** Not 0: residuals of residuals. */
  readonly mode: number;
  /** The factors are parts of 2 to the power of this. */
  readonly shift: number;
  /** Of the Rice coder, in quarters. */
  readonly multiplierQuarters: number;
  /** They learn while the channel is decoded. */
  readonly factors: Int16Array;
}

/** As many factors say that each sample is predicted by the one before it. */
const FIRST_ORDER = 31;

/** Turns residuals into samples of `sampleBits`, in place (Apple's dp_dec.c). */
export function predict(values: Int32Array, sampleBits: number, predictor: AlacPredictor): void {
  const wrap = 32 - sampleBits;
  if (predictor.mode !== 0) addUp(values, 1, values.length, wrap);
  const order = predictor.factors.length;
  if (order === 0) return;
  if (order === FIRST_ORDER) return addUp(values, 1, values.length, wrap);
  addUp(values, 1, order + 1, wrap);
  predictAdaptively(values, wrap, predictor);
}

function addUp(values: Int32Array, from: number, to: number, wrap: number): void {
  const end = Math.min(values.length, to);
  for (let at = from; at < end; at++) values[at] = (((values[at - 1] ?? 0) + (values[at] ?? 0)) << wrap) >> wrap;
}

/** Sign by sign: each factor moves by one towards what would have made the residual smaller. */
function predictAdaptively(values: Int32Array, wrap: number, { factors, shift }: AlacPredictor): void {
  const order = factors.length;
  const half = shift === 0 ? 0 : 1 << (shift - 1);
  for (let at = order + 1; at < values.length; at++) {
    const base = values[at - order - 1] ?? 0;
    let sum = half;
    for (let index = 0; index < order; index++) {
      sum = (sum + Math.imul(factors[index] ?? 0, (values[at - 1 - index] ?? 0) - base)) | 0;
    }
    const residual = values[at] ?? 0;
    values[at] = ((residual + base + (sum >> shift)) << wrap) >> wrap;
    const direction = Math.sign(residual);
    let left = residual;
    for (let index = order - 1; index >= 0 && left * direction > 0; index--) {
      const difference = base - (values[at - 1 - index] ?? 0);
      const move = Math.sign(difference) * direction;
      factors[index] = (factors[index] ?? 0) - move;
      left -= (order - index) * ((move * difference) >> shift);
    }
  }
}
