import { shown } from '../errors.ts';

/**
 * An exact fraction. In results the denominator is positive. Doubles do not hold the positions of tiles past
 * z = 60.
 */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** A position or length: a double, whose exact value counts, a whole number, or a fraction. */
export type Exact = number | bigint | Rational;

/**
 * The exact value as a fraction with a positive denominator. Throws RangeError for a double that is not
 * finite, a denominator of 0, and other values.
 */
export function toRational(value: Exact): Rational {
  if (typeof value === 'bigint') return { numerator: value, denominator: 1n };
  if (typeof value === 'object' && value !== null) {
    if (typeof value.numerator !== 'bigint' || typeof value.denominator !== 'bigint')
      throw new RangeError('a fraction is of two bigints');
    if (value.denominator === 0n) throw new RangeError('a fraction with denominator 0');
    return value.denominator > 0n ? value : { numerator: -value.numerator, denominator: -value.denominator };
  }
  if (!Number.isFinite(value)) throw new RangeError(`Expected a finite number but received ${shown(value)}`);
  let numerator = value;
  let shift = 0n;
  while (!Number.isInteger(numerator)) {
    numerator *= 2; // exact: a double's fraction ends after at most 1074 bits
    shift++;
  }
  return { numerator: BigInt(numerator), denominator: 1n << shift };
}

/**
 * The value of a decimal such as `-12.5`, of at most 310 digits on either side of the point; undefined for
 * other text.
 */
export function parseDecimal(text: string): Rational | undefined {
  const match = /^(-?)(\d{1,310})(?:\.(\d{1,310}))?$/.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = ''] = match;
  const numerator = BigInt(whole! + fraction);
  return { numerator: sign === '-' ? -numerator : numerator, denominator: 10n ** BigInt(fraction.length) };
}

export function multiply(a: Rational, b: Rational): Rational {
  return { numerator: a.numerator * b.numerator, denominator: a.denominator * b.denominator };
}

export function divide(a: Rational, b: Rational): Rational {
  if (b.numerator === 0n) throw new RangeError('division by zero');
  return toRational({ numerator: a.numerator * b.denominator, denominator: a.denominator * b.numerator });
}

export function add(a: Rational, b: Rational): Rational {
  return {
    numerator: a.numerator * b.denominator + b.numerator * a.denominator,
    denominator: a.denominator * b.denominator,
  };
}

/** -1, 0 or 1, as a is less than, equal to or greater than b. */
export function compare(a: Rational, b: Rational): number {
  const difference = a.numerator * b.denominator - b.numerator * a.denominator;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The largest whole number that is not above numerator / denominator, which is positive. */
export function floorDivide(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  return numerator < 0n && quotient * denominator !== numerator ? quotient - 1n : quotient;
}

/** The nearest double, for messages and estimates only. */
export function toNumber(value: Rational): number {
  const whole = floorDivide(value.numerator, value.denominator);
  const rest = value.numerator - whole * value.denominator;
  return Number(whole) + Number((rest << 60n) / value.denominator) / 2 ** 60;
}
