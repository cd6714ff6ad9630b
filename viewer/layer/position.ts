// Positions in a picture, exact at any zoom. Doubles are too coarse from about zoom 45 on, and a view must
// not drift. A coordinate counts pixels of the picture, as a BigInt with FRACTION_BITS bits after the point.

/** Enough for a hundredth of a pixel at zoom 1024, where the server ends. */
export const FRACTION_BITS = 1152;

/** A point of the picture: fixed-point pixels from its upper left corner. */
export interface Position {
  readonly x: bigint;
  readonly y: bigint;
}

const view = new DataView(new ArrayBuffer(8));

/**
 * value * 2^exponent as fixed point, exact but for bits below the last one; `exponent` may have a fraction,
 * `value` is finite.
 */
export function toFixed(value: number, exponent = 0): bigint {
  const whole = Math.floor(exponent);
  view.setFloat64(0, value * 2 ** (exponent - whole));
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const mantissa = biased === 0 ? bits & 0xfffffffffffffn : (bits & 0xfffffffffffffn) | 0x10000000000000n;
  const shift = Math.max(biased, 1) - 1075 + FRACTION_BITS + whole;
  const magnitude = shifted(mantissa, shift);
  return bits >> 63n ? -magnitude : magnitude;
}

/** fixed * 2^exponent as a double, nearly the nearest; `exponent` may have a fraction. */
export function toNumber(fixed: bigint, exponent = 0): number {
  const magnitude = fixed < 0n ? -fixed : fixed;
  const drop = Math.max(0, magnitude.toString(16).length * 4 - 64);
  const power = drop - FRACTION_BITS + exponent;
  // In two steps: 2^power alone may be too small for a double.
  const number = Number(magnitude >> BigInt(drop)) * 2 ** (power / 2) * 2 ** (power / 2);
  return fixed < 0n ? -number : number;
}

/**
 * A decimal with at most 400 digits before and after the point, as fixed point; undefined for any other text.
 */
export function parseDecimal(text: string): bigint | undefined {
  const match = /^(-?)(\d{1,400})(?:\.(\d{1,400}))?$/.exec(text);
  if (match === null) return undefined;
  const fraction = match[3] ?? '';
  const scale = 10n ** BigInt(fraction.length);
  // Rounded up, as formatDecimal rounds down: what it wrote comes back in every digit.
  const up = match[1] === '-' ? 0n : scale - 1n;
  const magnitude = ((BigInt(match[2]! + fraction) << BigInt(FRACTION_BITS)) + up) / scale;
  return match[1] === '-' ? -magnitude : magnitude;
}

/**
 * A decimal with `digits` digits after the point, rounded towards minus infinity, so that its whole part
 * names the pixel that holds the point.
 */
export function formatDecimal(fixed: bigint, digits: number): string {
  const scale = 10n ** BigInt(digits);
  const units = (fixed * scale) >> BigInt(FRACTION_BITS);
  const magnitude = units < 0n ? -units : units;
  const text = magnitude.toString().padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return `${units < 0n ? '-' : ''}${digits === 0 ? whole : `${whole}.${text.slice(-digits)}`}`;
}

/**
 * Digits after the point that tell apart points one screen pixel from each other, at 2^exponent screen pixels
 * per pixel of the picture.
 */
export function digitsFor(exponent: number): number {
  return Math.max(0, Math.ceil(exponent * Math.log10(2)));
}

/** value * 2^shift, rounded towards minus infinity. */
export function shifted(value: bigint, shift: number): bigint {
  return shift >= 0 ? value << BigInt(shift) : value >> BigInt(-shift);
}
