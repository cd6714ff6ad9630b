import { expect, it } from 'vitest';
import { toSrgb } from '../../../src/image/color/to-srgb.ts';
import type { Raster } from '../../../src/image/raster.ts';
import { colorIn, DISPLAY_P3 } from './icc-profile.ts';

/** Gray, what sRGB has too, its border, and colors beyond. */
const COLORS = [
  [0, 0, 0],
  [0.5, 0.5, 0.5],
  [1, 1, 1],
  [0.7, 0.5, 0.4],
  [0.3, 0.35, 0.6],
  [0.02, 0.03, 0.01],
  [0.459, 0.984, 0.298],
  [0, 1, 0],
  [0.95, 0.2, 0.15],
];

function p3(data: Raster['data'], channels: Raster['channels'] = 3): Raster {
  return { width: data.length / channels, height: 1, channels, data, colorSpace: 'display-p3' };
}

it.each([8, 16] as const)(
  'converts colors of Display P3, %i bits, and ends those beyond sRGB at its border',
  (bits) => {
    const peak = 2 ** bits - 1;
    const given = COLORS.flat().map((value) => Math.round(value * peak));
    const { data, colorSpace } = toSrgb(p3(bits === 16 ? Uint16Array.from(given) : Uint8Array.from(given)));
    expect(colorSpace).toBeUndefined();
    expect(data).toBeInstanceOf(bits === 16 ? Uint16Array : Uint8Array);
    const expected = COLORS.flatMap((_, i) => {
      const color = given.slice(3 * i, 3 * i + 3).map((value) => value / peak);
      return colorIn('srgb', color, DISPLAY_P3, 'srgb').map((value) => value * peak);
    });
    for (const [i, value] of expected.entries())
      expect(Math.abs(data[i]! - value), `sample ${i}`).toBeLessThan(bits === 16 ? 200 : 1.3);
  },
);

it.each([
  ['a Uint8Array', Uint8Array.of(30, 250, 20, 77)],
  ['a Buffer', Buffer.from([30, 250, 20, 77])],
])('keeps alpha, and the raster that was given, in %s', (_, samples) => {
  const given = p3(samples, 4);
  const { data } = toSrgb(given);
  expect(data[3]).toBe(77);
  expect(data[0]).toBe(0);
  expect([...given.data]).toEqual([30, 250, 20, 77]);
});

it('leaves sRGB, and gray, as they are', () => {
  const raster: Raster = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) };
  expect(toSrgb(raster)).toBe(raster);
  expect(toSrgb({ ...raster, colorSpace: 'srgb' }).data).toEqual(raster.data);
  expect([...toSrgb(p3(Uint8Array.of(7, 9), 2)).data]).toEqual([7, 9]);
});
