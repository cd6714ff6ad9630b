import { type Map as LeafletMap, Point } from 'leaflet';
import { internalsOf } from './leaflet-internals.ts';
import { sharpnessOf } from './scale.ts';

// At native scale one pixel of the picture is one of the screen: tiles then have the picture's own pixels, on whole pixels of the screen, and nothing
// resamples them on their way.

/** Pixels of a tile per CSS pixel, as tile sources give them. */
export type TileRatio = 1 | 2 | 3 | 4;

/** What the screen has, in whole numbers. */
export function screenRatio(): TileRatio {
  return Math.min(3, Math.max(1, Math.ceil(devicePixelRatio || 1))) as TileRatio;
}

/** The ratio of tiles that have the picture's own pixels, for a map of `zoom` that shows tiles of `tileZoom`; undefined where it is not at native scale, or tiles have no such ratio. */
export function nativeRatio(nativeZoom: number, zoom: number, tileZoom: number): TileRatio | undefined {
  if (sharpnessOf(zoom - nativeZoom + Math.log2(devicePixelRatio)) !== 'native') return undefined;
  const ratio = 2 ** (nativeZoom - tileZoom);
  return ratio === 1 || ratio === 2 || ratio === 4 ? ratio : undefined;
}

/** Of a CSS pixel, and nothing to be seen: Chromium 156 draws softly what is scaled and not moved at all, where pixels of CSS are no whole ones of the screen. */
const BARELY_MOVED = 1e-4;

/** The place in the map's pane next to this one at which a pixel of the screen begins: browsers put the map itself on whole ones, but the pane moves by pixels of CSS. */
export function onScreenPixel(map: LeafletMap, place: Point): Point {
  const pane = internalsOf(map)._getMapPanePos();
  const whole = (at: number, from: number) =>
    Math.round((from + at) * devicePixelRatio) / devicePixelRatio - from;
  return new Point(whole(place.x, pane.x) || BARELY_MOVED, whole(place.y, pane.y));
}
