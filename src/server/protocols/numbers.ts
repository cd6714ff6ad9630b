import type { Rational } from '../../head/rational.ts';

// Numbers as clients write them.

/** Digits only, exactly representable. */
export function wholeNumber(text: string): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  return Number(text);
}

/** Digits and a point, as IIIF writes numbers. */
export function decimal(text: string): Rational | undefined {
  const match = /^(\d{0,15})(?:\.(\d{1,15}))?$/.exec(text);
  if (match === null || (match[1] === '' && match[2] === undefined)) return undefined;
  const fraction = match[2] ?? '';
  return { numerator: BigInt(match[1]! + fraction), denominator: 10n ** BigInt(fraction.length) };
}
