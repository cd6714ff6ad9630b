/**
 * Between real latents and symbols, both directions (spec 2.3, 3.6). Steps carry `stepBits` fraction bits:
 * one symbol is worth step / 2^stepBits latent units.
 */

/**
 * What a symbol adds to the mean: round(n * step, stepBits). Exact in int32 for any int16 symbol of a loaded
 * model.
 */
export function dequantize(symbol: number, step: number, stepBits: number): number {
  return (Math.imul(symbol, step) + (1 << (stepBits - 1))) >> stepBits;
}

/**
 * The nearest symbol to a difference given in 2^-stepBits latent units, ties away from zero, so that both
 * signs are treated alike. Doubles are exact: differences stay below 2^42.
 */
export function quantize(difference: number, step: number): number {
  // Most are: no division for these.
  if (2 * Math.abs(difference) < step) return 0;
  const magnitude = Math.floor((2 * Math.abs(difference) + step) / (2 * step));
  return difference < 0 ? -Math.min(32768, magnitude) : Math.min(32767, magnitude);
}
