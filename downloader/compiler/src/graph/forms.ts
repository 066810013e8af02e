/** Forms of matrix products, and which product of a layer has which. */

/**
 * Forms of a matrix product.
 * - `float32`: as in the checkpoint.
 * - `float16`: in half precision, activations and weights, and attention between such products; all other values stay float32.
 * - `row`: activations in 8 bits with one scale per row (token), weights in 8 bits with one scale per output.
 * - `rowf`: as row, except that the inputs with the largest values and weights stay in float32 (a second, small product).
 * - `row2`: as row, plus a second 8-bit product for the rounding error of the activations: effectively 16 bits.
 * - `smooth`: as row, after a norm whose outputs are evened out (smoothing.ts); `Layers` does that.
 * - `smooth2`: as smooth, with activations in 16 bits as two rows of one product, which reads its weights once.
 * - `row3`: as row2, plus a third product for the rounding error of the weights: effectively 16 bits too.
 * - `nb8`: weights in 8 bits with one scale per 32 inputs of an output, and activations with one per 32 of a row (MatMulNBits, accuracy
 *   level 4).
 *
 * In none of them does a row depend on the other rows of its batch.
 */
export type Form = 'float32' | 'float16' | 'row' | 'rowf' | 'row2' | 'row3' | 'smooth' | 'smooth2' | 'nb8';

export const isSmooth = (form: Form) => form === 'smooth' || form === 'smooth2';
/** Forms for which the largest magnitudes of a product's inputs are measured. */
export const usesPeaks = (form: Form) => form === 'rowf' || isSmooth(form);

/** What a product does in its layer: forms are chosen by it. */
const PRODUCT_KINDS = [
  'attention input',
  'attention output',
  'feed-forward 1',
  'feed-forward 2',
  'head',
  'vocabulary',
] as const;
export type ProductKind = (typeof PRODUCT_KINDS)[number];

/** The form of each kind of product. */
export type Recipe = Readonly<Record<ProductKind, Form>>;

/** All kinds in one form. */
export function uniformRecipe(form: Form): Recipe {
  return Object.fromEntries(PRODUCT_KINDS.map((kind) => [kind, form])) as Recipe;
}
