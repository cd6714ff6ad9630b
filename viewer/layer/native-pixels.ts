import { type Map as LeafletMap, Point } from 'leaflet';
import { internalsOf } from './leaflet-internals.ts';
import { sharpnessOf } from './scale.ts';

// At native scale each pixel of the picture is one screen pixel. Tiles then have the picture's own pixels and
// lie on whole screen pixels, so that nothing resamples them.

/** Pixels of a tile per CSS pixel, as tile sources give them. */
export type TileRatio = 1 | 2 | 3 | 4;

/** The ratio for this screen: its device pixels per CSS pixel, rounded up, 3 at most. */
export function screenRatio(): TileRatio {
  return Math.min(3, Math.max(1, Math.ceil(devicePixelRatio || 1))) as TileRatio;
}

/**
 * The ratio of tiles with the picture's own pixels, for a map at `zoom` that shows tiles of `tileZoom`.
 * Undefined where the map is not at native scale, or tiles have no such ratio.
 */
export function nativeRatio(nativeZoom: number, zoom: number, tileZoom: number): TileRatio | undefined {
  if (sharpnessOf(zoom - nativeZoom + Math.log2(devicePixelRatio)) !== 'native') return undefined;
  const ratio = 2 ** (nativeZoom - tileZoom);
  return ratio === 1 || ratio === 2 || ratio === 4 ? ratio : undefined;
}

/**
 * An invisible offset in CSS pixels: where CSS pixels are no whole screen pixels, Chromium 156 blurs elements
 * that are scaled without any offset.
 */
const BARELY_MOVED = 1e-4;

/**
 * The nearest place in the map's pane where a screen pixel begins. Browsers put the map itself on whole
 * screen pixels, but its pane moves by CSS pixels.
 */
export function onScreenPixel(map: LeafletMap, place: Point): Point {
  const pane = internalsOf(map)._getMapPanePos();
  const whole = (at: number, from: number) =>
    Math.round((from + at) * devicePixelRatio) / devicePixelRatio - from;
  return new Point(whole(place.x, pane.x) || BARELY_MOVED, whole(place.y, pane.y));
}
