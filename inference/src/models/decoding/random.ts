/**
 * Returns a reproducible generator of numbers in [0, 1). Source: sfc32 of PractRand (Chris Doty-Humphrey, public
 * domain), 128 bits of state; the first twelve numbers are discarded, as its author does.
 */
export function seededRandom(...seeds: readonly number[]): () => number {
  let a = seeds[0] ?? 0;
  let b = seeds[1] ?? 0;
  let c = seeds[2] ?? 0;
  let counter = 1;
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
