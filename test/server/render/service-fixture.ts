import type { Raster } from '../../../src/image/raster.ts';
import { Metrics } from '../../../src/server/metrics.ts';
import type { ServedPicture } from '../../../src/server/pictures/picture.ts';
import { ResamplePool } from '../../../src/server/pictures/plain/resample-pool.ts';
import { Admission } from '../../../src/server/render/admission.ts';
import type { Encoding } from '../../../src/server/render/encoding.ts';
import { RenderService } from '../../../src/server/render/render-service.ts';
import type { TileStore } from '../../../src/server/stores/tile-store.ts';

export const quality = { jpegQuality: 85, webpQuality: 85, avifQuality: 60 };

/** A render service with an encoder of the test's, and what it is made of. */
export function renderService(
  encoding: Encoding,
  {
    regionBytes,
    timeoutMs = 60_000,
    ...limits
  }: {
    readonly regionBytes: number;
    readonly timeoutMs?: number;
    readonly cacheBytes: number;
    readonly stores: readonly TileStore[];
    readonly maxWork: number;
  },
) {
  const lane = { running: 4, waiting: 4, maxWaitMs: 10_000 };
  const admission = new Admission({
    lanes: { tile: lane, region: lane, decode: lane, open: lane },
    regionBytes,
  });
  const resampling = new ResamplePool(1);
  const options = { admission, metrics: new Metrics(), quality, encoding, timeoutMs, resampling, ...limits };
  return { admission, options, service: new RenderService(options) };
}

/** A picture of these pixels, whatever is asked of it. */
export function servedPicture(raster: Raster, change: Partial<ServedPicture> = {}): ServedPicture {
  return {
    kind: 'liif',
    width: raster.width,
    height: raster.height,
    channels: 3,
    alpha: false,
    bytes: 1000,
    heldBytes: 0,
    identity: 'a'.repeat(64),
    cacheName: 'a'.repeat(64),
    facts: {},
    estimate: () => ({ bytes: 0, work: 1 }),
    render: async () => raster,
    getBytes: async (_offset, length) => new Uint8Array(length),
    close: async () => {},
    ...change,
  };
}
