import { readdir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';

const ENDINGS = ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff'];

/** Paths of the first `limit` pictures of a folder, by name. Rejects where there are none. */
export async function picturesIn(folder: string, limit: number): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => ENDINGS.includes(extname(name).toLowerCase()));
  if (names.length === 0) throw new Error(`${folder}: no pictures`);
  return names
    .sort()
    .slice(0, limit)
    .map((name) => join(folder, name));
}

/** A picture as 8-bit RGB, which peers and measures take. */
export async function readRgb(path: string): Promise<Raster> {
  const { raster } = await readImage(path, { srgb: true });
  const { width, height, channels, data } = raster;
  if (channels === 3 && data instanceof Uint8Array) return raster;
  const rgb = new Uint8Array(width * height * 3);
  const shift = data instanceof Uint16Array ? 8 : 0;
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[i * channels + (channels >= 3 ? c : 0)]! >> shift;
  return { width, height, channels: 3, data: rgb };
}
