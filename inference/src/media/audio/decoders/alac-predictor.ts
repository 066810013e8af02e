/** The predictor of a channel, from its packet. */
export interface AlacPredictor {
  /** Nonzero: residuals of residuals. */
  readonly mode: number;
  /** The factors are divided by 2 to the power of this. */
  readonly shift: number;
  /** Rice coder parameter, in quarters. */
  readonly multiplierQuarters: number;
  /** Adapted while the channel is decoded. */
  readonly factors: Int16Array;
}

/** This number of factors means prediction by the previous sample. */
const FIRST_ORDER = 31;

/** Converts residuals to samples of `sampleBits`, in place (Apple's dp_dec.c). */
export function predict(values: Int32Array, sampleBits: number, predictor: AlacPredictor): void {
  const wrap = 32 - sampleBits;
  if (predictor.mode !== 0) addUp(values, values.length, wrap);
  const order = predictor.factors.length;
  if (order === 0) return;
  if (order === FIRST_ORDER) return addUp(values, values.length, wrap);
  addUp(values, order + 1, wrap);
  predictAdaptively(values, wrap, predictor);
}

/** Adds to each sample before `to` but the first the one before it. */
function addUp(values: Int32Array, to: number, wrap: number): void {
  const end = Math.min(values.length, to);
  for (let at = 1; at < end; at++) values[at] = (((values[at - 1] ?? 0) + (values[at] ?? 0)) << wrap) >> wrap;
}

/** Sign-sign LMS: each factor moves by one in the direction that reduces the residual. */
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
