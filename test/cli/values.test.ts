import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { byteCount, decimal, exact, positive, region, wholeNumber } from '../../src/cli/values.ts';

describe('values of options', () => {
  it.each([
    ['80000', 80_000],
    ['80k', 80_000],
    ['80kB', 80_000],
    ['1.5M', 1_500_000],
    ['2 MB', 2_000_000],
    ['64KiB', 65_536],
    ['1Gi', 2 ** 30],
  ])('%s is a size of %i bytes', (text, bytes) => {
    expect(byteCount(text)).toBe(bytes);
  });

  it.each(['', '0', '-5', '1e6', '80 q', 'k', '0.4', '99999999G'])('%j is no size', (text) => {
    expect(() => byteCount(text)).toThrow(InvalidArgumentError);
  });

  it('takes decimals exactly as they are written', () => {
    expect(exact('0.1')).toEqual({ numerator: 1n, denominator: 10n });
    expect(exact('-1.50')).toEqual({ numerator: -150n, denominator: 100n });
    expect(exact('1/3')).toEqual({ numerator: 1n, denominator: 3n });
    expect(exact('123456789012345678901234567890').numerator).toBe(123456789012345678901234567890n);
    for (const text of ['', '1/0', 'NaN', '1e5', '1/2/3', '0x10', '1.', 'Infinity', '1'.repeat(301)])
      expect(() => exact(text), text).toThrow(InvalidArgumentError);
  });

  it('asks for scales above 0', () => {
    expect(positive('0.5').numerator).toBe(5n);
    for (const text of ['0', '-1', '0.0']) expect(() => positive(text)).toThrow('greater than 0');
  });

  it('reads regions', () => {
    expect(region('1, 2.5,3,4')).toEqual({
      x: { numerator: 1n, denominator: 1n },
      y: { numerator: 25n, denominator: 10n },
      width: { numerator: 3n, denominator: 1n },
      height: { numerator: 4n, denominator: 1n },
    });
    for (const text of ['1,2,3', '1,2,3,4,5', '1,2,0,4', '1,2,3,-4', 'a,b,c,d'])
      expect(() => region(text), text).toThrow(InvalidArgumentError);
  });

  it('holds numbers to their range', () => {
    expect(wholeNumber(1, 100)('100')).toBe(100);
    for (const text of ['0', '101', '1.5', '+3', '1e1', ''])
      expect(() => wholeNumber(1, 100)(text)).toThrow('1 to 100');
    expect(decimal(1, 99)('38.25')).toBe(38.25);
    for (const text of ['0.5', '100', 'x']) expect(() => decimal(1, 99)(text)).toThrow('1 to 99');
  });
});
