import { InvalidArgumentError } from 'commander';
import type { Region } from '../head/query.ts';
import type { Rational } from '../head/rational.ts';

/**
 * Parsers of option values. They throw commander's InvalidArgumentError, whose message is a part of the line
 * that the user sees.
 */

export function wholeNumber(low: number, high: number, multiple = 1): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < low || value > high || value % multiple !== 0)
      throw new InvalidArgumentError(
        `Expected a ${multiple > 1 ? `multiple of ${multiple}` : 'whole number'} from ${low} to ${high}.`,
      );
    return value;
  };
}

/** A number with a decimal point, e.g. `38.5`. */
export function decimal(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+(\.\d+)?$/.test(text) || value < low || value > high)
      throw new InvalidArgumentError(`Expected a number from ${low} to ${high}.`);
    return value;
  };
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1000,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 2 ** 20,
  gi: 2 ** 30,
};

/** A number of bytes, e.g. `80000`, `80k`, `1.5M`, `64KiB`. */
export function byteCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]i?|)b?$/i.exec(text);
  const value = match ? Math.floor(Number(match[1]) * UNITS[match[2]!.toLowerCase()]!) : 0;
  if (!(value >= 1 && value <= Number.MAX_SAFE_INTEGER))
    throw new InvalidArgumentError('Expected a size in bytes, e.g. 80000, 80k, 1.5M or 64KiB.');
  return value;
}

/** An exact number: `2`, `0.25`, `-1.5` or `1/3`. Decimals are taken as written, not as doubles. */
export function exact(text: string): Rational {
  const match = /^(-?)(\d{1,300})(?:\.(\d{1,300})|\/(\d{1,300}))?$/.exec(text.trim());
  if (!match) throw new InvalidArgumentError('Expected a number such as 2, 0.25 or 1/3.');
  const [, sign, whole, fraction = '', divisor] = match;
  const denominator = divisor === undefined ? 10n ** BigInt(fraction.length) : BigInt(divisor);
  if (denominator === 0n) throw new InvalidArgumentError('Expected a divisor other than 0.');
  const numerator = BigInt(whole! + fraction);
  return { numerator: sign ? -numerator : numerator, denominator };
}

export function positive(text: string): Rational {
  const value = exact(text);
  if (value.numerator <= 0n) throw new InvalidArgumentError('Expected a number greater than 0.');
  return value;
}

/** `x,y,width,height` in pixels of the picture, fractions allowed. */
export function region(text: string): Region {
  const parts = text.split(',');
  if (parts.length !== 4)
    throw new InvalidArgumentError('Expected x,y,width,height in pixels, e.g. 100,50,640,480.');
  const [x, y, width, height] = parts.map(exact) as [Rational, Rational, Rational, Rational];
  if (width.numerator <= 0n || height.numerator <= 0n)
    throw new InvalidArgumentError('The width and height of a region must be greater than 0.');
  return { x, y, width, height };
}

/** Collects the values of an option that may be repeated. */
export function collected(item: string, items: readonly string[] = []): string[] {
  return [...items, item];
}
