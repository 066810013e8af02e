/** Arithmetic of ETSI EN 300 961 (GSM 06.10), 5.1: whole numbers of 16 bits that stay at their ends. */

/** The sum. */
export function add(one: number, other: number): number {
  return limited(one + other);
}

/** The difference. */
export function subtract(one: number, other: number): number {
  return limited(one - other);
}

/** Of two parts of 32,768, rounded. */
export function roundedProduct(one: number, other: number): number {
  return limited((one * other + 16_384) >> 15);
}

function limited(value: number): number {
  return value > 32_767 ? 32_767 : value < -32_768 ? -32_768 : value;
}
