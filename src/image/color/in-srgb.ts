import type { Raster } from '../raster.ts';
import { inTurns } from '../turns.ts';
import { toSrgb } from './to-srgb.ts';

/** Like `toSrgb`, which takes seconds for a large raster, but in turns and where the samples lie. Rejects with the signal's reason. */
export async function inSrgb(raster: Raster, signal?: AbortSignal): Promise<Raster> {
  const { colorSpace, ...same } = raster;
  if (colorSpace !== 'display-p3') return raster;
  await inTurns(raster.data.length, raster.channels, signal, (from, to) => {
    const data = raster.data.subarray(from, to);
    data.set(toSrgb({ ...raster, data }).data);
  });
  return same;
}
