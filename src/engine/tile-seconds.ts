import { nativeAxis } from '../head/query.ts';
import type { Engine } from './engine.ts';

/** Small: some graphics devices are very slow. */
const SIDE = 128;
const TOGETHER = 4;

/**
 * Seconds that an engine takes for a small tile, from latents to pixels, of some at a time: for pages to choose by, where the measurements of speed.ts would
 * be too much code. Rejects when it fails.
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
  // The first one of all takes memory, and more.
  await tile();
  const start = performance.now();
  await Promise.all(Array.from({ length: TOGETHER }, tile));
  return (performance.now() - start) / TOGETHER / 1000;
}
