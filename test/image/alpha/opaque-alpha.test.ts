import { expect, it } from 'vitest';
import { isOpaque, withoutOpaqueAlpha } from '../../../src/image/alpha/opaque-alpha.ts';
import type { Raster } from '../../../src/image/raster.ts';

const gray = (data: Raster['data']): Raster => ({ width: 1, height: data.length / 2, channels: 2, data });

it('alpha is left out where it is the maximum everywhere', async () => {
  const wide = { ...gray(Uint16Array.of(7, 65535, 9, 65535)), colorSpace: 'srgb' } as const;
  expect(await withoutOpaqueAlpha(wide)).toEqual({ ...wide, channels: 1, data: Uint16Array.of(7, 9) });
  const color: Raster = { width: 1, height: 1, channels: 4, data: Uint8Array.of(1, 2, 3, 255) };
  expect(await withoutOpaqueAlpha(color)).toEqual({ ...color, channels: 3, data: Uint8Array.of(1, 2, 3) });
  expect([...color.data]).toEqual([1, 2, 3, 255]);
});

it('a raster is given back as it is where one pixel is not opaque, or where it has no alpha', async () => {
  for (const raster of [
    gray(Uint8Array.of(7, 255, 9, 254)),
    gray(Uint16Array.of(7, 255, 9, 65535)),
    { width: 2, height: 1, channels: 1, data: Uint8Array.of(7, 9) } as const,
  ])
    expect(await withoutOpaqueAlpha(raster)).toBe(raster);
});

it('rows are looked at by themselves', () => {
  const raster = gray(Uint8Array.of(7, 255, 9, 254));
  expect(isOpaque(raster, 0, 2)).toBe(true);
  expect(isOpaque(raster, 2, 4)).toBe(false);
  expect(isOpaque(raster)).toBe(false);
});
