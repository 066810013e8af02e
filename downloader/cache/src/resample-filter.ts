/** How a SigLIP's images are resized, as its preprocessor's file says. */
import type { JsonObject } from '@heimdex/common';

/** By their numbers in Pillow; 0, nearest, is not supported. */
const RESAMPLE_FILTERS = { 1: 'lanczos', 2: 'bilinear', 3: 'bicubic', 4: 'box', 5: 'hamming' } as const;
export type ResampleFilter = (typeof RESAMPLE_FILTERS)[keyof typeof RESAMPLE_FILTERS];

/** The filter of a preprocessor_config.json, or of the same object elsewhere; default bicubic. Throws an Error for another one. */
export function resampleFilter({ resample }: JsonObject): ResampleFilter {
  const number = typeof resample === 'number' ? resample : 3;
  const filter = RESAMPLE_FILTERS[number as keyof typeof RESAMPLE_FILTERS];
  if (filter !== undefined) return filter;
  throw new Error(
    `Expected resample to be one of ${Object.keys(RESAMPLE_FILTERS).join(', ')} in preprocessor_config.json, got ${resample}.`,
  );
}
