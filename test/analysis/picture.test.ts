import { describe, expect, it } from 'vitest';
import { picturePatch } from '../../src/analysis/picture.ts';

const full = { top: 0, left: 0, height: 2, width: 3 };

describe('input of the analysis network', () => {
  it('spreads 8 and 16 bits over the same range', () => {
    const eight = picturePatch(
      { width: 3, height: 2, channels: 1, data: Uint8Array.of(0, 255, 128, 1, 2, 3) },
      0,
      full,
      3,
    );
    const sixteen = picturePatch(
      { width: 3, height: 2, channels: 1, data: Uint16Array.of(0, 65535, 128 * 257, 257, 514, 771) },
      0,
      full,
      3,
    );
    expect(eight.data).toEqual(sixteen.data);
    expect([...eight.data.subarray(0, 9)]).toEqual([-8192, -8192, -8192, 8192, 8192, 8192, 32, 32, 32]);
  });
  it('continues the last row and column', () => {
    const patch = picturePatch(
      { width: 1, height: 2, channels: 3, data: Uint8Array.of(10, 20, 30, 40, 50, 60) },
      0,
      { top: 1, left: 0, height: 2, width: 2 },
      3,
    );
    const pixel = [...patch.data.subarray(0, 3)];
    expect([...patch.data]).toEqual([...pixel, ...pixel, ...pixel, ...pixel]);
    expect(pixel[0]).toBeLessThan(pixel[2]!);
  });
  it('takes alpha as a grey picture of its own', () => {
    const rgba = { width: 1, height: 1, channels: 4 as const, data: Uint8Array.of(10, 20, 30, 255) };
    const rect = { top: 0, left: 0, height: 1, width: 1 };
    expect([...picturePatch(rgba, 1, rect, 3).data]).toEqual([8192, 8192, 8192]);
    expect(picturePatch(rgba, 0, rect, 3).data[0]).toBeLessThan(picturePatch(rgba, 0, rect, 3).data[1]!);
  });
});
