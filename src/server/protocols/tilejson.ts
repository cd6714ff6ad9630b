import { nativeZoom, TILE_SIZE } from '../../pixels/tile.ts';
import type { ImageFormat } from './image-format.ts';
import type { Size } from './rendering.ts';

/** The largest zoom of TileJSON 3.0. Tiles themselves go on. */
const MAX_TILEJSON_ZOOM = 30;

/**
 * Part of the Mercator square by which bounds end early: clients whose doubles round outwards would otherwise
 * ask for tiles beyond the picture. It is less than a hundredth of a pixel in any tile.
 */
const INWARDS = 2 ** -45;

/**
 * TileJSON 3.0.0. Its bounds are degrees on a Mercator square, so the picture is laid on a notional one, with
 * its upper left corner at -180, 85.0511. The size in pixels stands in further keys, as the specification
 * allows.
 */
export function tileJson(
  picture: Size,
  tiles: {
    readonly title: string;
    readonly version: string;
    /** With {z}, {x} and {y}. */
    readonly url: string;
    readonly format: ImageFormat;
  },
): Record<string, unknown> {
  const zoom = nativeZoom(picture);
  const side = TILE_SIZE * 2 ** zoom;
  const east = (picture.width / side) * 360 - 180;
  const south = latitude(picture.height / side - INWARDS);
  const north = latitude(INWARDS);
  return {
    tilejson: '3.0.0',
    name: tiles.title,
    version: '1.0.0',
    scheme: 'xyz',
    tiles: [tiles.url],
    minzoom: 0,
    maxzoom: MAX_TILEJSON_ZOOM,
    bounds: [-180, south, east, north],
    center: [(east - 180) / 2, latitude(picture.height / side / 2), 0],
    format: tiles.format,
    tileSize: TILE_SIZE,
    width: picture.width,
    height: picture.height,
    nativeZoom: zoom,
    revision: tiles.version,
  };
}

/** Latitude in degrees of a position on the Mercator square, 0 at its upper edge and 1 at its lower one. */
function latitude(position: number): number {
  return (Math.atan(Math.sinh(Math.PI * (1 - 2 * position))) * 180) / Math.PI;
}
