/**
 * Fixed-point arithmetic of spec 3.1, defined here and only here. Arguments are int32, and a model that was
 * loaded guarantees that no sum leaves int32 (bounds.ts).
 */

/** v >> shift, rounded to nearest, ties towards plus infinity: round(5, 1) = 3, round(-5, 1) = -2. */
export function round(v: number, shift: number): number {
  return (v + ((1 << shift) >> 1)) >> shift;
}

/** v held within -limit .. limit. */
export function clamp(v: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, v));
}

/** v held within int16. */
export function sat16(v: number): number {
  return Math.max(-32768, Math.min(32767, v));
}

/** The activation: max(v, v >> 3). */
export function leaky(v: number): number {
  return v > 0 ? v : v >> 3;
}

/**
 * One 8-bit level of a sample as analysis reads it: 257 sixteen-bit ones, each of which is 2 / 2^imageShift.
 */
export function levelOf(imageShift: number): number {
  return 514 / 2 ** imageShift;
}

/** What analysis reads for a sample of 16 bits, spec 3.4. */
export function pictureValue(sample: number, imageShift: number): number {
  return (2 * sample - 65535 + ((1 << imageShift) >> 1)) >> imageShift;
}
