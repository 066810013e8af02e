/** Saturating 16-bit arithmetic of ETSI EN 300 961 (GSM 06.10), 5.1. */

export function add(left: number, right: number): number {
  return saturate(left + right);
}

export function subtract(left: number, right: number): number {
  return saturate(left - right);
}

/** Returns the rounded product of two Q15 numbers. */
export function roundedProduct(left: number, right: number): number {
  return saturate((left * right + 16_384) >> 15);
}

function saturate(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}
