import { describe, expect, it } from 'vitest';
import { coverHiddenColors } from '../../../src/image/alpha/hidden-colors.ts';
import type { Raster } from '../../../src/image/raster.ts';

/** Red where x < 8, with green under transparency elsewhere. */
function halfHidden(width: number, height: number): Raster {
  const data = new Uint8Array(width * height * 4);
  for (let i = 0; i < width * height; i++)
    data.set(i % width < 8 ? [200, 10, 30, 255] : [0, 255, 0, 0], 4 * i);
  return { width, height, channels: 4, data };
}

describe('colors under full transparency', () => {
  it('become those of their surroundings', async () => {
    const { data } = await coverHiddenColors(halfHidden(37, 21));
    for (let i = 0; i < 37 * 21; i++) {
      expect([...data.subarray(4 * i, 4 * i + 3)]).toEqual([200, 10, 30]);
      expect(data[4 * i + 3]).toBe(i % 37 < 8 ? 255 : 0);
    }
  });

  it('lie between the colors on both sides of a gap, the nearer one prevailing', async () => {
    const data = new Uint16Array(2 * 16);
    data.set([1000, 65535], 0);
    data.set([9000, 1], 30);
    const row = (await coverHiddenColors({ width: 16, height: 1, channels: 2, data })).data.filter(
      (_, i) => i % 2 === 0,
    );
    expect(row[0]).toBe(1000);
    expect(row[15]).toBe(9000);
    for (let i = 1; i < 16; i++) expect(row[i]!).toBeGreaterThanOrEqual(row[i - 1]!);
    expect(row[3]!).toBeLessThan(4000);
    expect(row[12]!).toBeGreaterThan(6000);
  });

  it('do not touch colors that show, however faintly, or the raster that was given', async () => {
    const raster = halfHidden(16, 4);
    raster.data[4 * 9 + 3] = 1;
    const before = raster.data.slice();
    const { data } = await coverHiddenColors(raster);
    expect([...data.subarray(36, 40)]).toEqual([0, 255, 0, 1]);
    expect(raster.data).toEqual(before);
    const buffer = Buffer.from(raster.data);
    await coverHiddenColors({ ...raster, data: buffer });
    expect(new Uint8Array(buffer)).toEqual(before);
  });

  it('are left alone where there is nothing to cover, or nothing to cover it with', async () => {
    const opaque: Raster = { width: 2, height: 1, channels: 2, data: Uint8Array.of(1, 9, 2, 255) };
    expect(await coverHiddenColors(opaque)).toBe(opaque);
    const clear: Raster = { width: 2, height: 1, channels: 2, data: Uint8Array.of(1, 0, 2, 0) };
    expect(await coverHiddenColors(clear)).toBe(clear);
    const plain: Raster = { width: 2, height: 1, channels: 1, data: Uint8Array.of(0, 0) };
    expect(await coverHiddenColors(plain)).toBe(plain);
  });
});
