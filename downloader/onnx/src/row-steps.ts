/** How a row of activations is rounded to 8 bits, by its peak: `step` in parts of the peak, and the byte of 0. */
export interface RowSteps {
  readonly step: number;
  readonly zeroPoint: number;
}

/** Magnitudes of at most 127 steps around 128; the peak is the largest magnitude. */
export const ROW_STEPS: RowSteps = { step: 1 / 127, zeroPoint: 128 };

/** GELU's outputs: 16 steps of 255 below 0, where its minimum is -0.17; the peak is the largest value. */
export const GELU_STEPS: RowSteps = { step: 1 / 239, zeroPoint: 16 };

/** Minimum peak of a row with which GELU's minimum is within these steps. */
export const GELU_MIN_PEAK = 0.17 / GELU_STEPS.zeroPoint / GELU_STEPS.step;
