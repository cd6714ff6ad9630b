import { describe, expect, it } from 'vitest';
import type { Raster } from '../../src/image/raster.ts';
import { reduce } from '../../src/image/reduce.ts';

function raster(
  width: number,
  height: number,
  channels: Raster['channels'],
  sample: (x: number, y: number, c: number) => number,
): Raster {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++) for (let c = 0; c < channels; c++) data[i++] = sample(x, y, c);
  return { width, height, channels, data };
}

describe('reduction for overviews', () => {
  it('keeps a plain color, and odd sizes round up', async () => {
    for (const factor of [2, 4] as const) {
      const reduced = await reduce(
        raster(13, 7, 3, (_x, _y, c) => 50 * c + 7),
        factor,
      );
      expect([reduced.width, reduced.height]).toEqual([Math.ceil(13 / factor), Math.ceil(7 / factor)]);
      expect(new Set(reduced.data)).toEqual(new Set([7, 57, 107]));
    }
  });
  it('keeps a ramp in its place', async () => {
    const reduced = await reduce(
      raster(64, 8, 1, (x) => 2 * x + 20),
      4,
    );
    // output pixel j covers input pixels 4j .. 4j+3, whose mean is 2 * (4j + 1.5) + 20
    for (let j = 4; j < 12; j++) expect(reduced.data[16 + j]).toBe(8 * j + 23);
  });
  it('removes what the smaller picture cannot show', async () => {
    const reduced = await reduce(
      raster(64, 64, 1, (x, y) => ((x + y) % 2) * 255),
      2,
    );
    for (let y = 4; y < 28; y++)
      for (let x = 4; x < 28; x++) expect(Math.abs(reduced.data[y * 32 + x]! - 127.5)).toBeLessThan(1);
  });
  it('does not let hidden colors bleed out of transparent pixels', async () => {
    // left half opaque red, right half transparent green
    const reduced = await reduce(
      raster(32, 32, 4, (x, _y, c) => (x < 16 ? [255, 0, 0, 255] : [0, 255, 0, 0])[c]!),
      4,
    );
    for (let x = 0; x < reduced.width; x++) {
      const at = 4 * (4 * reduced.width + x);
      if (reduced.data[at + 3]! > 0) expect([...reduced.data.subarray(at, at + 3)]).toEqual([255, 0, 0]);
    }
  });
  it('gives what does not show a plain mean of its colors, not black', async () => {
    // A step of opacity, beyond which the weights overshoot and leave less than nothing.
    const step = raster(32, 31, 4, (x, _y, c) => (x < 14 ? [200, 120, 40, 255] : [8 * x, 120, 40, 0])[c]!);
    for (const factor of [2, 4] as const) {
      const { width, height, data } = await reduce(step, factor);
      let hidden = 0;
      for (let i = 0; i < width * height; i++) {
        if (data[4 * i + 3]! > 0) continue;
        hidden++;
        const x = i % width;
        expect([...data.subarray(4 * i, 4 * i + 3)]).toEqual([8 * factor * x + 4 * (factor - 1), 120, 40]);
      }
      expect(hidden).toBeGreaterThan(height * 3);
    }
  });
  it('works at 16 bits and on a single pixel', async () => {
    const one: Raster = { width: 1, height: 1, channels: 1, data: Uint16Array.of(54321) };
    expect(await reduce(one, 4)).toEqual(one);
  });
});
