import type { Raster } from '../../src/image/raster.ts';
import { readImage } from '../../src/image/read.ts';

/** A picture as 8-bit RGB, which peers and measures take. */
export async function readRgb(path: string): Promise<Raster> {
  const { raster } = await readImage(path, { srgb: true });
  const { width, height, channels, data } = raster;
  if (channels === 3 && data instanceof Uint8Array) return raster;
  // Peers and measures take 8-bit RGB; anything else is brought to it first.
  const rgb = new Uint8Array(width * height * 3);
  const shift = data instanceof Uint16Array ? 8 : 0;
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 3; c++) rgb[3 * i + c] = data[i * channels + (channels >= 3 ? c : 0)]! >> shift;
  return { width, height, channels: 3, data: rgb };
}
