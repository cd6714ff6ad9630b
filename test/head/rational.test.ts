import { expect, it } from 'vitest';
import { add, compare, divide, floorDivide, multiply, toRational } from '../../src/head/rational.ts';

const of = (numerator: bigint, denominator: bigint) => ({ numerator, denominator });

it('brings fractions to a positive denominator, and is of two bigints', () => {
  expect(toRational(of(3n, -4n))).toEqual(of(-3n, 4n));
  expect(toRational(of(-3n, -4n))).toEqual(of(3n, 4n));
  for (const half of [
    { numerator: 1, denominator: 2n },
    { numerator: 1n, denominator: 2 },
  ])
    expect(() => toRational(half as never)).toThrow('a fraction is of two bigints');
});

it('adds, multiplies, divides and compares fractions of different denominators', () => {
  const [a, b] = [of(-3n, 4n), of(5n, 6n)];
  expect(compare(add(a, b), of(1n, 12n))).toBe(0);
  expect(compare(multiply(a, b), of(-5n, 8n))).toBe(0);
  expect(compare(divide(a, b), of(-9n, 10n))).toBe(0);
  expect(divide(b, a).denominator).toBeGreaterThan(0n);
  expect(Math.sign(compare(a, b))).toBe(-1);
  expect(Math.sign(compare(b, a))).toBe(1);
  expect(Math.sign(compare(of(5n, 7n), b))).toBe(-1);
  expect(() => divide(a, of(0n, 1n))).toThrow('division by zero');
});

it('rounds down, on either side of zero', () => {
  const found = [-4n, -3n, -2n, -1n, 0n, 1n, 2n, 3n].map((numerator) => floorDivide(numerator, 3n));
  expect(found).toEqual([-2n, -1n, -1n, -1n, 0n, 0n, 0n, 1n]);
});
