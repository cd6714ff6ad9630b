import type { Patch, Rect } from '../engine/engine.ts';
import type { Raster } from '../image/raster.ts';
import { pictureValue } from '../network/fixed-point.ts';

/**
 * Input of the analysis network for a plane, 0 color or 1 alpha: the pixels of `rect` as int16 (height,
 * width, 3), spec 3.4. Positions right of and below the raster repeat its last column and row; gray and alpha
 * become R = G = B. `rect` begins inside the raster.
 */
export function picturePatch(raster: Raster, plane: number, rect: Rect, imageShift: number): Patch {
  const { width, height, channels, data } = raster;
  const scale = data instanceof Uint16Array ? 1 : 257;
  const colored = plane === 0 && channels >= 3;
  const first = plane === 1 ? channels - 1 : 0;
  const out = new Int16Array(rect.height * rect.width * 3);
  let o = 0;
  for (let row = 0; row < rect.height; row++) {
    const line = Math.min(height - 1, rect.top + row) * width;
    for (let column = 0; column < rect.width; column++) {
      const pixel = (line + Math.min(width - 1, rect.left + column)) * channels + first;
      for (let c = 0; c < 3; c++) {
        out[o++] = pictureValue(data[colored ? pixel + c : pixel]! * scale, imageShift);
      }
    }
  }
  return { rect, channels: 3, data: out };
}
