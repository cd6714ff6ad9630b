/**
 * Bits per pixel that one unit of squared error (in 8-bit units) is worth at the lowest and the highest
 * quality, as in training.
 */
export const LOWEST_WEIGHT = 0.0016;
const HIGHEST_WEIGHT = 0.36;

/**
 * The weight of a quality, geometric between both ends. Only products and sums, so that every machine gets
 * the same value.
 */
export function distortionWeight(quality: number, qualities: number): number {
  const steps = qualities - 1;
  let low = 1;
  let high = HIGHEST_WEIGHT / LOWEST_WEIGHT;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (LOWEST_WEIGHT * power(middle, steps) > HIGHEST_WEIGHT) high = middle;
    else low = middle;
  }
  return LOWEST_WEIGHT * power(low, quality - 1);
}

function power(base: number, exponent: number): number {
  let product = 1;
  for (let i = 0; i < exponent; i++) product *= base;
  return product;
}
