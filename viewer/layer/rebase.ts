import { Point } from 'leaflet';
import { TILE_SIZE } from '../tiles/tile-source.ts';
import { type RootTile, rootDistance } from './floating-origin.ts';
import type { GridLayerInternals } from './leaflet-internals.ts';

/** Counts the tiles of a layer from another root tile. Tiles of zooms above either root are removed. */
export function rebaseTiles(internals: GridLayerInternals, from: RootTile, to: RootTile): void {
  const lost = Math.max(from.z, to.z);
  const tiles = Object.entries(internals._tiles);
  for (const [key, { coords }] of tiles) if (coords.z + from.z < lost) internals._removeTile(key);
  const kept = Object.values(internals._tiles);
  internals._tiles = {};
  for (const tile of kept) {
    const { coords } = tile;
    const zoom = coords.z + from.z;
    const distance = rootDistance(from, to, zoom);
    coords.z = zoom - to.z;
    coords.x -= distance.x / TILE_SIZE;
    coords.y -= distance.y / TILE_SIZE;
    internals._tiles[internals._tileCoordsToKey(coords)] = tile;
  }
  const levels = Object.values(internals._levels);
  internals._levels = {};
  for (const level of levels) {
    const zoom = level.zoom + from.z;
    if (zoom < lost) {
      level.el.remove();
      continue;
    }
    level.zoom = zoom - to.z;
    const { x, y } = rootDistance(from, to, zoom);
    level.origin = level.origin.subtract(new Point(x, y));
    internals._levels[level.zoom] = level;
  }
  if (internals._tileZoom !== undefined) internals._tileZoom += from.z - to.z;
}
