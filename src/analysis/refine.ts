import type { Axis, Engine, Extent, Patch, Rect } from '../engine/engine.ts';
import { analysisWindow, latentWindow } from '../network/window.ts';
import { picturePatch } from './picture.ts';

/**
 * Analysis by synthesis (encoders only; the format does not change). An analysis output is a guess of which latents make the decoder show
 * the picture. Decoding them once and analyzing what comes out tells how far off the guess is, rounding and neighbors included:
 * latents whose picture reads as other latents are moved the other way. Integers, so that a picture still has one file.
 */

/** Largest share of the deviation that is taken back, in 1/256: latents move all at once, so the whole of it overshoots. */
const FULL_STRENGTH = 160;

/** Latents needed to refine those of `latents`: what the decoder reads for the pixels that the analysis reads. */
export function refinementWindow(engine: Engine, latents: Rect, level: Extent): Rect {
  return latentWindow(engine.model, pixelWindow(engine, latents, level), level);
}

/**
 * `analysis` (latents.height, latents.width, C), corrected. `coded`: what a decoder gets from plainly rounded latents, over
 * `refinementWindow(latents)` of a level of `level` latents. `strength`: 0..1.
 */
export async function refine(
  engine: Engine,
  analysis: Int16Array,
  latents: Rect,
  coded: Patch,
  level: Extent,
  quality: number,
  strength: number,
  signal?: AbortSignal,
): Promise<Int16Array> {
  const { model } = engine;
  const window = pixelWindow(engine, latents, level);
  const features = await engine.features(coded, level, window, quality, signal);
  const query = {
    rows: nativeAxis(window.top, window.height),
    columns: nativeAxis(window.left, window.width),
    depth: 16 as const,
  };
  const [data] = await engine.pixels(features, [query], signal).finally(() => features.close());
  const { height, width } = window;
  const shown = picturePatch(
    { width, height, channels: 3, data: data! },
    0,
    { top: 0, left: 0, height, width },
    model.imageShift,
  );
  const stride = model.latentStride;
  const picture = { height: level.height * stride, width: level.width * stride };
  const again = await engine.analyze({ ...shown, rect: window }, picture, latents, quality, signal);

  const share = Math.round(strength * FULL_STRENGTH);
  const out = new Int16Array(analysis.length);
  const run = latents.width * model.latentChannels;
  for (let row = 0, i = 0; row < latents.height; row++) {
    let c =
      ((latents.top + row - coded.rect.top) * coded.rect.width + latents.left - coded.rect.left) *
      model.latentChannels;
    for (const end = i + run; i < end; i++, c++) {
      const moved = analysis[i]! + ((share * (coded.data[c]! - again[i]!) + 128) >> 8);
      out[i] = Math.max(-32768, Math.min(32767, moved));
    }
  }
  return out;
}

function pixelWindow({ model }: Engine, latents: Rect, level: Extent): Rect {
  const stride = model.latentStride;
  return analysisWindow(model, latents, { height: level.height * stride, width: level.width * stride });
}

/** Pixels that lie on sites: spec 4.2 at scale 1. */
function nativeAxis(first: number, count: number): Axis {
  return {
    index: Int32Array.from({ length: count }, (_, i) => first + i),
    fraction: new Int16Array(count),
    cell: 4096,
  };
}
