import type { Raster } from './raster.ts';
import { toSrgb } from './to-srgb.ts';
import { Turns } from './turns.ts';

const PIXELS_PER_LOOK = 1 << 14;

/** Like `toSrgb`, which takes seconds for a large raster, but in turns and where the samples lie. Rejects with the signal's reason. */
export async function inSrgb(raster: Raster, signal?: AbortSignal): Promise<Raster> {
  const { colorSpace, ...same } = raster;
  if (colorSpace !== 'display-p3') return raster;
  const turns = new Turns(signal);
  const step = PIXELS_PER_LOOK * raster.channels;
  for (let from = 0; from < raster.data.length; from += step) {
    if (turns.over) await turns.next();
    const data = raster.data.subarray(from, from + step);
    data.set(toSrgb({ ...raster, data }).data);
  }
  return same;
}
