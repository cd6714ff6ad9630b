import { nativeAxis } from '../head/query.ts';
import type { Engine } from './engine.ts';

/** Pixels on the side of a tile: few, since some graphics devices are very slow. */
const SIDE = 128;
const TOGETHER = 4;

/**
 * Seconds per small tile, from latents to pixels, when an engine makes several at a time. Pages choose an
 * engine by it: the measurements of speed.ts would be too much code for them. Rejects if the engine fails.
 */
export async function tileSeconds(engine: Engine): Promise<number> {
  const { latentStride, latentChannels } = engine.model;
  const count = SIDE / latentStride;
  const level = { height: count, width: count };
  const data = new Int16Array(count * count * latentChannels);
  const latents = { rect: { top: 0, left: 0, ...level }, channels: latentChannels, data };
  const sites = { top: 0, left: 0, height: SIDE, width: SIDE };
  const axis = nativeAxis(0, SIDE);
  const tile = async () => {
    const features = await engine.features(latents, level, sites, 1);
    await engine.pixels(features, [{ rows: axis, columns: axis, depth: 8 }]);
    features.close();
  };
  // The first tile allocates memory and warms up.
  await tile();
  const start = performance.now();
  await Promise.all(Array.from({ length: TOGETHER }, tile));
  return (performance.now() - start) / TOGETHER / 1000;
}
