import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { expect } from 'vitest';
import type { Raster } from '../../src/image/raster.ts';

/** Links tell the middle to a pixel or so of the screen. */
const REACH = 3;

/**
 * Demands that the middle half of the screen shows a picture without alpha pixel for pixel: those of `liif decode`,
 * every one.
 */
export async function expectNativePixels(page: Page, { width, height, data }: Raster): Promise<void> {
  const shot = sharp(await page.screenshot())
    .removeAlpha()
    .raw();
  const { data: screen, info } = await shot.toBuffer({ resolveWithObject: true });
  const link = new URLSearchParams((await page.evaluate(() => location.hash)).slice(1));
  /** Where the picture begins on the screen, and the part of the screen that is looked at. */
  const left = Math.round(info.width / 2 - Number(link.get('x')));
  const top = Math.round(info.height / 2 - Number(link.get('y')));
  const from = Math.max(info.width >> 2, left + REACH);
  const to = Math.min((3 * info.width) >> 2, left + width - REACH);
  const rows = {
    from: Math.max(info.height >> 2, top + REACH),
    to: Math.min((3 * info.height) >> 2, top + height - REACH),
  };
  expect(to - from).toBeGreaterThan(200);
  expect(rows.to - rows.from).toBeGreaterThan(150);
  const equal = (dx: number, dy: number) => {
    for (let y = rows.from; y < rows.to; y++) {
      const shown = screen.subarray(3 * (y * info.width + from), 3 * (y * info.width + to));
      const at = (y - top - dy) * width + from - left - dx;
      if (Buffer.compare(shown, data.subarray(3 * at, 3 * (at + to - from)) as Uint8Array) !== 0)
        return false;
    }
    return true;
  };
  const places: string[] = [];
  for (let dy = -REACH; dy <= REACH; dy++)
    for (let dx = -REACH; dx <= REACH; dx++) if (equal(dx, dy)) places.push(`${dx}, ${dy}`);
  expect(places).toHaveLength(1);
}
