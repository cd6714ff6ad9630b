import type { Engine, FeatureMap, GridPart, Reduction } from '../engine/engine.ts';
import type { Lease } from '../features/leased-cache.ts';
import { channelsOf, type Raster } from '../image/raster.ts';
import { whole } from '../network/window.ts';
import { inParallel } from '../parallel.ts';
import { type Run, windowOf } from './blocks.ts';
import type { RenderCall } from './render.ts';
import { copyPixels, knownPixels, withinBlock } from './site-pixels.ts';

/**
 * Most grid pixels that an engine reduces in one call: a tile of 256 pixels at 1/4, or of 512 at 1/2, with
 * margins. All their features are held.
 */
const MAX_GRID_PIXELS = 1100 ** 2;
/** Most values of those features: 150 MiB, twice as many sites of the released models as pixels. */
const MAX_HELD_VALUES = 78e6;

/**
 * Whether the engine reduces a grid in one call; otherwise the calling thread filters. `pixels`: of the grid,
 * including those outside the picture. `sites`: of the windows of features that the grid needs.
 */
export function reducesAtOnce(engine: Engine, pixels: number, sites: number): boolean {
  const values = sites * engine.model.head.hidden;
  return engine.reduce !== undefined && pixels <= MAX_GRID_PIXELS && values <= MAX_HELD_VALUES;
}

/** A reduction by the engine, plane by plane. The samples are those of `Reducer`. */
export async function reduceAtOnce(
  call: RenderCall,
  level: number,
  { grid, rows, columns, into }: Omit<Reduction, 'gray' | 'parts'>,
  work: readonly { readonly row: Run; readonly column: Run }[],
): Promise<Raster> {
  const { picture, engine, signal } = call;
  const leaseKnown = knownPixels(call, { level, ...grid });
  const planeOf = async (plane: number, gray: boolean): Promise<Uint8Array> => {
    const leases: Lease<FeatureMap | Raster>[] = [];
    const parts: GridPart[] = [];
    try {
      await inParallel(engine.threads + 1, work, async ({ row, column }) => {
        const [height, width] = [row.to - row.from, column.to - column.from];
        const rect = { top: row.from, left: column.from, height, width };
        const known = leaseKnown?.(plane, row, column);
        if (known) {
          const lease = await known;
          leases.push(lease);
          const { channels, data, width: blockWidth } = lease.value;
          const { top, left } = withinBlock(grid, row, column);
          const pitch = blockWidth * channels;
          parts.push({ rect, pitch, samples: data.subarray(top * pitch + left * channels) as Uint8Array });
          return;
        }
        const lease = await picture.features(level, plane, windowOf(row, column), signal);
        leases.push(lease);
        parts.push({ rect, features: lease.value });
      });
      return await engine.reduce!(
        { grid, rows, columns, gray, parts, into: plane === 0 ? into : undefined },
        signal,
      );
    } finally {
      for (const lease of leases) lease.release();
    }
  };
  const size = { width: columns.count, height: rows.count };
  const color: Raster = {
    ...size,
    channels: picture.channels,
    data: await planeOf(0, picture.channels === 1),
  };
  if (!picture.alpha) return color;
  const alpha: Raster = { ...size, channels: 1, data: await planeOf(1, true) };
  const channels = channelsOf(picture);
  const raster = { ...size, channels, data: new Uint8Array(channels * alpha.data.length) };
  copyPixels(color, whole(size), raster, 0, 0, false);
  copyPixels(alpha, whole(size), raster, 0, 0, true);
  return raster;
}
