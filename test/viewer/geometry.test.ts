import { describe, expect, it } from 'vitest';
import { FloatingOrigin, rootDistance } from '../../viewer/layer/floating-origin.ts';
import {
  digitsFor,
  FRACTION_BITS,
  formatDecimal,
  parseDecimal,
  toFixed,
  toNumber,
} from '../../viewer/layer/position.ts';
import { formatScale, sharpnessOf, spokenScale } from '../../viewer/layer/scale.ts';
import { formatHash, parseHash } from '../../viewer/picture/permalink.ts';
import { isInside } from '../../viewer/tiles/tile-source.ts';

const ONE = 1n << BigInt(FRACTION_BITS);

describe('positions', () => {
  it('keep every bit of a double, times any power of two', () => {
    expect(toFixed(1)).toBe(ONE);
    expect(toFixed(-2.75)).toBe((-11n * ONE) / 4n);
    expect(toFixed(0)).toBe(0n);
    expect(toFixed(3, 1000)).toBe((3n * ONE) << 1000n);
    expect(toFixed(3, -1000)).toBe((3n * ONE) >> 1000n);
    for (const value of [0.1, 1e-300, 1e300, -123456.789, Number.MIN_VALUE * 2 ** 60, Number.MIN_VALUE])
      expect(toNumber(toFixed(value))).toBe(value);
    expect(toNumber(toFixed(1, 0.5))).toBeCloseTo(Math.SQRT2, 14);
  });

  it('come back from decimals as they were', () => {
    for (const text of ['0', '12', '-0.5', '0.1', '123.456789012345678901234567890123456789'])
      expect(formatDecimal(parseDecimal(text)!, text.split('.')[1]?.length ?? 0)).toBe(text);
    expect(formatDecimal(parseDecimal('-0.25')!, 1)).toBe('-0.3');
    for (const text of ['', '.', '1.', '1e5', '0x1', ' 1', 'NaN', `1${'0'.repeat(400)}`])
      expect(parseDecimal(text)).toBeUndefined();
  });

  it('have as many digits as tell two screen pixels apart', () => {
    expect([-9, 0, 1, 10, 60].map(digitsFor)).toEqual([0, 0, 1, 4, 19]);
  });
});

describe('a floating origin', () => {
  it('is exact wherever the root is', () => {
    const origin = new FloatingOrigin(4);
    const position = {
      x: parseDecimal('1234.5678901234567890123')!,
      y: parseDecimal('3000.0000000000000000001')!,
    };
    const before = origin.local(position);
    expect(before.x).toBeCloseTo(1234.56789, 5);
    const root = origin.rootFor(position, 64);
    expect(root.z).toBe(44);
    origin.moveTo(root);
    const local = origin.local(position);
    // Within the root tile: its side is 256 * 2^4 local units.
    expect(local.x).toBeGreaterThanOrEqual(0);
    expect(local.x).toBeLessThan(4096);
    const back = origin.position(local);
    const error = back.x > position.x ? back.x - position.x : position.x - back.x;
    // A double has 53 bits, 12 of them before the point: 2^-40 local units are 2^-84 pixels.
    expect(error < ONE >> 80n).toBe(true);
    // Tile addresses agree with positions.
    const { z, x } = origin.tile({ x: 0, y: 0, z: 20 });
    expect(z).toBe(64);
    expect(x * 256n <= (position.x << 60n) >> BigInt(FRACTION_BITS)).toBe(true);
  });

  it('counts tiles, and the way from one root to another, in both directions', () => {
    const origin = new FloatingOrigin(2);
    const root = { z: 3, x: 5n, y: 2n };
    origin.moveTo(root);
    expect(origin.tile({ z: 2, x: 1, y: -1 })).toEqual({ z: 5, x: 21n, y: 7n });
    expect(rootDistance(root, { z: 1, x: 2n, y: 0n }, 4)).toEqual({ x: 6 * 256, y: -4 * 256 });
  });

  it('moves where the view is far to the left or above, on one level too', () => {
    const origin = new FloatingOrigin(2);
    const far = toFixed(-(2 ** 21));
    expect(origin.rootFor({ x: far, y: 0n }, 3)).toEqual({ z: 0, x: -2048n, y: 0n });
    expect(origin.rootFor({ x: 0n, y: far }, 3)).toEqual({ z: 0, x: 0n, y: -2048n });
  });

  it('stays while it serves, and moves by whole tiles', () => {
    const origin = new FloatingOrigin(2);
    const position = { x: toFixed(300.25), y: toFixed(100.75) };
    expect(origin.rootFor(position, 30)).toBe(origin.root);
    const first = origin.rootFor(position, 33);
    expect(first.z).toBe(13);
    origin.moveTo(first);
    expect(origin.rootFor(position, 36)).toBe(first);
    const second = origin.rootFor(position, 60);
    const distance = rootDistance(first, second, 60);
    expect(Number.isSafeInteger(distance.x) && Number.isSafeInteger(distance.y)).toBe(true);
    expect(distance.x % 256).toBe(0);
    // And back to the top.
    origin.moveTo(second);
    expect(origin.rootFor(position, 3)).toEqual({ z: 0, x: 0n, y: 0n });
  });

  it('lies beyond the picture where the view does, so that the map counts small numbers there too', () => {
    const origin = new FloatingOrigin(2);
    const far = { x: toFixed(-300.25), y: toFixed(1e22) };
    for (const zoom of [3, 60, 1000]) {
      origin.moveTo(origin.rootFor(far, zoom));
      expect(origin.rootFor(far, zoom)).toBe(origin.root);
      const { x, y } = origin.local(far);
      for (const value of [x, y]) expect(Math.abs(value)).toBeLessThan(1024);
    }
  });
});

describe('tiles', () => {
  it('are there exactly where the picture is', () => {
    const size = { width: 600, height: 420, nativeZoom: 2 };
    expect(isInside(size, 2, 2n, 1n)).toBe(true);
    expect(isInside(size, 2, 3n, 0n)).toBe(false);
    expect(isInside(size, 0, 0n, 0n)).toBe(true);
    expect(isInside(size, 0, 1n, 0n)).toBe(false);
    expect(isInside(size, 2, -1n, 0n)).toBe(false);
    const last = ((600n << 100n) - 1n) / 256n;
    expect(isInside(size, 102, last, 0n)).toBe(true);
    expect(isInside(size, 102, last + 1n, 0n)).toBe(false);
  });
});

describe('links', () => {
  it('bring back a view exactly', () => {
    const center = { x: parseDecimal('12.345678901234567890123')!, y: parseDecimal('0.5')! };
    const hash = formatHash({ center, zoom: 70.25, comparison: { with: 'bicubic', at: 0.4 } }, 2);
    expect(hash).toBe('#x=12.345678901234567890123&y=0.5&z=70.25&compare=bicubic&at=0.4');
    const state = parseHash(hash)!;
    expect(state).toMatchObject({ center, zoom: 70.25, comparison: { with: 'bicubic', at: 0.4 } });
    expect(formatHash(state, 2)).toBe(hash);
  });

  it.each([
    '',
    '#',
    '#x=1&y=2',
    '#x=1&y=2&z=a',
    '#x=1&y=2&z=',
    '#x=1&y=2&z=1e9',
    '#x=NaN&y=0&z=1',
    '#x=1e3&y=0&z=1',
  ])('are not made of %s', (hash) => expect(parseHash(hash)).toBeUndefined());
});

describe('scale', () => {
  it('is told shortly', () => {
    expect([-2, -5.5, 0, 1, 2.5, 12, 19.5, 60, 60.4].map(formatScale)).toEqual([
      '25 %',
      '2.2 %',
      '1×',
      '2×',
      '5.66×',
      '4,096×',
      '741,455×',
      '2⁶⁰×',
      '1.5·10¹⁸×',
    ]);
    // Three pixels of the screen, and one and a quarter, in one of CSS.
    expect([Math.log2(3), Math.log2(1.25), 2 + Math.log2(1.25)].map(formatScale)).toEqual([
      '3×',
      '1.25×',
      '5×',
    ]);
    expect([-0.00005, Math.log2(12.34), Math.log2(150.4), Math.log2(1e23)].map(formatScale)).toEqual([
      '1×',
      '12.3×',
      '150×',
      '1.0·10²³×',
    ]);
    expect(spokenScale(1)).toBe('2 times');
    expect(spokenScale(60)).toBe('2 to the power of 60 times');
    expect(spokenScale(-1)).toBe('50 percent');
    expect([-1, -0.00005, 0, 3].map(sharpnessOf)).toEqual(['reduced', 'native', 'native', 'synthesized']);
  });
});
