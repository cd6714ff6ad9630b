import { picturePatch } from '../analysis/picture.ts';
import type { Engine, Extent } from '../engine/engine.ts';
import type { Raster } from '../image/raster.ts';
import { analysisWindow, scaledExtent, whole } from '../network/window.ts';

/**
 * A picture that is the same on every machine, RGB of 8 bits. Waves of several lengths, edges and a little
 * noise give it the rate of a photograph.
 */
export function syntheticPicture(width: number, height: number): Raster {
  const data = new Uint8Array(width * height * 3);
  let state = 7;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      const edge = ((x >> 6) ^ (y >> 5)) % 5 === 0 ? 40 : 0;
      const light =
        110 + edge + 40 * Math.sin(x / 37 + y / 91) + 20 * Math.sin(x / 5 - y / 11) + (state >>> 29);
      data[at++] = light + 25 * Math.sin(y / 60);
      data[at++] = light;
      data[at++] = light - 30 * Math.sin(x / 80);
    }
  }
  return { width, height, channels: 3, data };
}

/** Analysis output of a synthetic picture of the size of `latents`. */
export function analysisOf(
  engine: Engine,
  latents: Extent,
  quality: number,
  signal?: AbortSignal,
): Promise<Int16Array> {
  const { model } = engine;
  const picture = scaledExtent(latents, model.latentStride);
  const rect = whole(latents);
  const raster = syntheticPicture(picture.width, picture.height);
  const pixels = picturePatch(raster, 0, analysisWindow(model, rect, picture), model.imageShift);
  return engine.analyze(pixels, picture, rect, quality, signal);
}
